"""Mends taken out of the code, one at a time: the machine must see each. A name says what the code does without it."""

import os
import shutil

from oxidicom.records import EXPECTED_COUNT_KEY
from oxidicom.spool import adoption, ledger
from oxidicom.spool.gateway_directory import GatewayDirectory
from oxidicom.spool.ledger import LEDGER_NAME
from oxidicom.tree.versions import Versions
from workers.channels.setting_aside import SettingAside
from workers.registration.completion import SeriesCompletion


def a_directory_without_its_ledger_counts_as_finished(patch):
    end_for_the_dead = GatewayDirectory.end_for_the_dead

    def end(self, association, beat):
        if not os.path.exists(os.path.join(association, LEDGER_NAME)):
            shutil.rmtree(association, ignore_errors=True)
            return True
        return end_for_the_dead(self, association, beat)

    patch(GatewayDirectory, "end_for_the_dead", end)


def a_line_that_is_no_text_costs_its_whole_association(patch):
    patch(ledger, "_decode", _decode_or_raise)


def a_line_that_is_no_text_costs_the_process_that_reads_it(patch):
    def unexpected(self, association, error):
        raise error

    patch(ledger, "_decode", _decode_or_raise)
    patch(SettingAside, "unexpected_association", unexpected)


def _decode_or_raise(data, decode=ledger._decode):
    data.decode()
    return decode(data)


def a_series_is_finished_with_its_last_value_alone(patch):
    def is_finished(self, directory, expected, counted, counts):
        return counts.committed.keys() & counts.opened <= counted

    without_rest = SeriesCompletion._without_rest

    def without(self, association, counts, in_batch):
        self._values_set_aside = lambda _: {(one.series_hash, EXPECTED_COUNT_KEY) for one in counts}
        try:
            return without_rest(self, association, counts, in_batch)
        finally:
            del self._values_set_aside

    patch(SeriesCompletion, "_is_finished", is_finished)
    patch(SeriesCompletion, "_without_rest", without)


def the_version_that_comes_last_to_its_path_stays(patch):
    patch(Versions, "stays", lambda *_: False)


def the_living_are_adopted(patch):
    patch(adoption, "lock_gateway", lambda _: [])


MUTATIONS = [
    a_directory_without_its_ledger_counts_as_finished,
    a_line_that_is_no_text_costs_its_whole_association,
    a_line_that_is_no_text_costs_the_process_that_reads_it,
    a_series_is_finished_with_its_last_value_alone,
    the_version_that_comes_last_to_its_path_stays,
    the_living_are_adopted,
]
