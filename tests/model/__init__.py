"""The journal as a model: the real code of the spool, killed between any two operations. See `test_journal_model`."""
