"""The senders: programs that others wrote, none of them tuned, each against this gateway and against its peers.

`python -m benchmarks.senders` (or `make senders`) is its command line; docs/benchmarks.md tells the method.

    campaign   which sender meets which receiver, in which order, how often
    trial      one cell of the table: a fresh receiver, runs with one file and with many
    ladder     how many files a run has, and the rate that follows from it
    files      the files that are sent
    sender     what a sender is: `programs`, and Orthanc in `pacs`
    receivers  who receives
    goals, report   what comes of it
"""
