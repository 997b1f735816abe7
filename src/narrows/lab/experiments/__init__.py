"""The five studies as experiments: `narrows lab run NAME` trains, exports, codes, measures and writes one report.

What an experiment is made of:

    Experiment, Setting, load_data        base.py     what an experiment is, and what it is run with
    Plan -> coded_model -> Model, Point   coded.py    one network: trained, exported as a profile, measured by files
    rate_series, rate_table, model_rows   rows.py     a model's figures for metrics.csv, charts and tables
    rivals -> Rival                       rivals.py   conventional codecs on the same pictures
    kept                                  kept.py     what was measured once is not measured again
    EXPERIMENTS                           catalogue.py
    list_command, run_command             command.py
"""
