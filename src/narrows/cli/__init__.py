"""The command `narrows`: one file a command.

    main.py       the group of commands, --version, and the way out
    failures.py   errors and warnings as lines on stderr and exit codes, the only place that knows them
    encode.py decode.py info.py verify.py lab.py
    options.py    options that several commands share
    jobs.py       which inputs are meant, and where each output goes
    batch.py      one or many jobs: results in order, progress, -j
    files.py      stdin and stdout, and files written whole or not at all
    saving.py     a decoded picture as the bytes of a PNG, JPEG, ... file

Nothing here imports numpy, Pillow or a network library before a command needs it.
"""
