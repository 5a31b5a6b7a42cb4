"""Capture files: reading, writing and every error's sentence."""

import struct
from pathlib import Path

import dpkt
import pytest
from tickwire.sim.capture import CaptureError, count_packets, read_capture, write_pcap

FRAMES = [bytes(range(20)) + bytes([n]) * (40 + n) for n in range(5)]
TIME = 1_686_858_149_957_011_777


def write(path: Path) -> Path:
    write_pcap(path, [(TIME + n, frame) for n, frame in enumerate(FRAMES)])
    return path


def pcapng(path: Path, linktype: int = 1, options: bytes = b"", order: str = "<",
           blocks: bytes = b"") -> Path:
    def block(kind, body):
        body += bytes(-len(body) % 4)
        length = struct.pack(order + "I", len(body) + 12)
        return struct.pack(order + "I", kind) + length + body + length

    content = block(0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1))
    content += block(1, struct.pack(order + "HHI", linktype, 0, 0) + options)
    for n, frame in enumerate(FRAMES):
        stamp = TIME // 1000 + n
        content += block(6, struct.pack(order + "5I", 0, stamp >> 32, stamp & 0xFFFFFFFF,
                                        len(frame), len(frame)) + frame)
    content += block(3, struct.pack(order + "I", 60) + FRAMES[0])
    path.write_bytes(content + blocks)
    return path


def test_written_pcap_reads_back_to_the_nanosecond(tmp_path):
    packets = list(read_capture(write(tmp_path / "a.pcap")))
    assert [p.data for p in packets] == FRAMES
    assert [p.time_ns for p in packets] == [TIME + n for n in range(5)]
    assert [p.number for p in packets] == [1, 2, 3, 4, 5]
    assert count_packets(tmp_path / "a.pcap") == 5


def test_written_pcap_agrees_with_dpkt(tmp_path):
    with write(tmp_path / "a.pcap").open("rb") as handle:
        packets = list(dpkt.pcap.Reader(handle))
    assert [data for _, data in packets] == FRAMES
    assert int(packets[0][0] * 10**9) == TIME


@pytest.mark.parametrize("order", "<>")
def test_pcapng_both_byte_orders(tmp_path, order):
    packets = list(read_capture(pcapng(tmp_path / "a.pcapng", order=order)))
    assert [p.data for p in packets] == [*FRAMES, FRAMES[0]]
    assert packets[1].time_ns == (TIME // 1000 + 1) * 1000
    assert packets[5].number == 6                   # a simple packet block: it has no time


def test_pcapng_time_resolution_and_offset(tmp_path):
    options = struct.pack("<HHB3x", 9, 1, 0x80 | 20) + struct.pack("<HHq", 14, 8, 5)
    packets = list(read_capture(pcapng(tmp_path / "a.pcapng", options=options + bytes(4))))
    assert packets[0].time_ns == 5 * 10**9 + (TIME // 1000) * 10**9 // 2**20


def test_reading_is_a_stream(tmp_path):
    """A packet is given out before the file's end has been read: the fault behind comes later."""
    path = write(tmp_path / "a.pcap")
    path.write_bytes(path.read_bytes()[:-1])
    reader = read_capture(path)
    assert [next(reader).number for _ in range(4)] == [1, 2, 3, 4]
    with pytest.raises(CaptureError):
        next(reader)


def error(path) -> str:
    with pytest.raises(CaptureError) as caught:
        list(read_capture(path))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_errors_name_file_place_fault_and_remedy(tmp_path):
    missing = tmp_path / "missing.pcap"
    assert error(missing) == (f"{missing}: no such file; give the path of a pcap or pcapng file, "
                              "or make one with: tickwire traffic")
    assert "cannot be opened: Is a directory" in error(tmp_path)
    empty = tmp_path / "empty.pcap"
    empty.write_bytes(b"")
    assert error(empty) == f"{empty}: offset 0: the file is empty; capture again"
    text = tmp_path / "text.pcap"
    text.write_text("hello, world")
    assert error(text) == (f"{text}: offset 0: begins with 68 65 6c 6c, which is neither pcap nor "
                           "pcapng; give a capture file, unpacked")
    header = tmp_path / "header.pcap"
    header.write_bytes(write(header).read_bytes()[:24])
    assert error(header) == f"{header}: offset 24: the capture has no packets; capture again"


def test_truncated_files_are_named_with_packet_and_offset(tmp_path):
    path = write(tmp_path / "a.pcap")
    whole = path.read_bytes()
    path.write_bytes(whole[:24 + 16 + 60 + 7])
    assert error(path) == (f"{path}: packet 1, offset 100: the file ends after 7 of 16 bytes; copy "
                           "the file again, or repair it with: editcap IN OUT")
    path.write_bytes(whole[:24 + 16 + 60 + 16 + 3])
    assert f"{path}: packet 2, offset 116: the file ends after 3 of 61 bytes" in error(path)


@pytest.mark.parametrize("make", [write, pcapng])
def test_a_file_cut_anywhere_gives_an_error_or_fewer_packets(tmp_path, make):
    path = make(tmp_path / "a")
    whole = path.read_bytes()
    total = count_packets(path)
    for cut in range(1, len(whole)):
        path.write_bytes(whole[:cut])
        try:
            assert count_packets(path) < total
        except CaptureError as fault:
            assert str(path) in str(fault)


def test_other_link_types_are_refused(tmp_path):
    path = tmp_path / "sll.pcap"
    with path.open("wb") as handle:
        dpkt.pcap.Writer(handle, linktype=113).writepkt(bytes(60), ts=1)
    assert error(path) == (f"{path}: offset 24: link type 113 (Linux cooked v1) is not Ethernet; "
                           "capture on an Ethernet interface")
    assert "link type 101 (raw IP)" in error(pcapng(tmp_path / "raw.pcapng", linktype=101))


def test_damaged_records(tmp_path):
    path = write(tmp_path / "a.pcap")
    content = bytearray(path.read_bytes())
    content[32:36] = b"\xff" * 4
    path.write_bytes(content)
    assert "packet 1, offset 24: a record length of 4294967295 bytes cannot be" in error(path)
    whole = pcapng(tmp_path / "a.pcapng").read_bytes()
    (tmp_path / "b").write_bytes(whole[:-1] + b"\x01")
    assert "packet 6" in error(tmp_path / "b")
    assert "a block's two lengths differ" in error(tmp_path / "b")
    (tmp_path / "c").write_bytes(whole[:32] + b"\x0d" + whole[33:])
    assert "a block length of 13 bytes cannot be" in error(tmp_path / "c")


def test_real_capture_is_read_whole(real_capture):
    packets = list(read_capture(real_capture))
    assert len(packets) == 5066
    assert packets[-1].time_ns - packets[0].time_ns == pytest.approx(80.7e9, rel=1e-3)
