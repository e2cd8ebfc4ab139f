"""The benchmark: this gateway beside its peers, in one run, under the same load, on the same disk.

`python -m benchmarks` (or `make benchmark`) is its command line; docs/benchmarks.md tells the method.

    campaign     which workload meets which server, in which order, how often
    trial        one measurement: a fresh server, one load, what it stored, what it cost
    load         the associations of a workload: one `sender` process each
    server       a server under test: `peers`, `floors`, this `gateway` with its `database`, and others as a `guest`
    prefill                                    the rows that the database has before
    processes, memory, registration            what is measured from outside
    alone, batches                             registration without the rest of the gateway
    disk, directories                          where the servers write, at rest before each load
    turns, installed                           the order of a round, and who can take part here
    figures, goals, report, plot               what comes of it
    senders                                    a benchmark of its own: programs of others as the senders
"""
