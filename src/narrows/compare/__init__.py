"""An honest comparison of narrows with the codecs people use: real files, separate decoding, several metrics.

    pictures --survey--> points.csv --curves--> BD-rates, rate at equal quality ---+
        |                                                                          +--> report.html, report.md,
        +--speed--> megapixels/s, peak memory ----------------------------------- -+    summary.json, figures
        +--crops--> the same place at equal bytes, with difference maps ----------+

Needs the extra [compare]; `narrows compare` is its command. Nothing here is imported by the codec.
"""
