"""Generated traffic: the same for the same seed, proper frames, accepted by the golden model."""

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether
from tickwire.sim.capture import read_capture
from tickwire.sim.models.decisions import price_units
from tickwire.sim.models.deribit import parse_datagram, udp_payload
from tickwire.sim.models.deribit_books import summarise
from tickwire.sim.rewrite import Rewriter
from tickwire.sim.traffic import DeribitTraffic, write_traffic


@pytest.fixture(scope="module")
def capture(tmp_path_factory):
    path = tmp_path_factory.mktemp("traffic") / "a.pcap"
    assert write_traffic(path, 1, 3000) == 3000
    return path


@pytest.fixture(scope="module")
def summary(capture):
    return summarise(read_capture(capture))


def test_same_seed_same_bytes(capture, tmp_path):
    write_traffic(tmp_path / "b.pcap", 1, 3000)
    assert (tmp_path / "b.pcap").read_bytes() == capture.read_bytes()
    write_traffic(tmp_path / "c.pcap", 2, 3000)
    assert (tmp_path / "c.pcap").read_bytes() != capture.read_bytes()


def test_every_ticker_and_snapshot_agrees_with_the_golden_book(summary):
    figures = summary.figures()
    assert figures["tickers_checked"] > 1500
    assert figures["tickers_equal"] == figures["tickers_checked"]
    assert figures["snapshots_checked"] > 100
    assert figures["snapshots_equal"] == figures["snapshots_checked"]
    assert figures["chain_breaks"] == figures["sequence_gaps"] == 0


def test_it_has_what_the_real_feed_has_and_more(summary):
    figures = summary.figures()
    assert figures["books_started_with_change_id_0"] > 0
    assert figures["tickers_before_book"] > 0
    assert figures["not_last"] > 50                 # the real capture has none
    assert figures["snapshots_in_parts"] > 0
    assert figures["fills"] > 100
    assert figures["max_depth"] > 33
    assert summary.messages["priceIndex"] > 100
    assert summary.messages["snapshotStart"] == summary.messages["snapshotEnd"]


def test_parts_come_in_several_datagrams_too(capture):
    open_snapshots, open_books = 0, 0
    for packet in read_capture(capture):
        messages = parse_datagram(udp_payload(packet.data)[3]).messages
        last = {m.template: m.fields for m in messages}
        open_snapshots += 1004 in last and not last[1004]["isLastInBook"]
        open_books += 1001 in last and not last[1001]["isLast"]
    assert open_snapshots and open_books


def test_frames_need_no_rewriting(capture):
    rewriter = Rewriter()
    packets = list(rewriter(read_capture(capture)))
    assert rewriter.counts.packets == 0
    assert max(len(packet.data) for packet in packets) <= 1514
    frame = Ether(packets[0].data)
    given = frame[IP].chksum, frame[UDP].chksum
    del frame[IP].chksum, frame[UDP].chksum
    again = Ether(bytes(frame))
    assert (again[IP].chksum, again[UDP].chksum) == given
    assert frame.dst.startswith("01:00:5e")


def test_times_grow_at_the_rate_of_the_real_feed(capture):
    times = [packet.time_ns for packet in read_capture(capture)]
    assert all(a < b for a, b in zip(times, times[1:], strict=False))
    rate = len(times) / (times[-1] - times[0]) * 1e9
    assert 55 < rate < 70


def test_every_price_fits_into_an_order(capture):
    for packet in read_capture(capture):
        for message in parse_datagram(udp_payload(packet.data)[3]).messages:
            if message.template == 1001:
                for _, _, price, _ in message.groups:
                    price_units(price)


@pytest.mark.parametrize("seed", range(2, 8))
def test_other_seeds_and_sizes(seed, tmp_path):
    path = tmp_path / "a.pcap"
    write_traffic(path, seed, 400, instruments=(1, 2, 5, 40, 84, 128)[seed - 2])
    figures = summarise(read_capture(path)).figures()
    assert figures["packets"] == 400
    assert figures["tickers_equal"] == figures["tickers_checked"] > 0


def test_nonsense_is_refused():
    with pytest.raises(ValueError, match="DeribitTraffic instruments must be 1 to 128, not 0"):
        DeribitTraffic(1, instruments=0)
