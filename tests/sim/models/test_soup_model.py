"""SoupBinTCP: real frames, Nasdaq's own codec and tshark agree with both of our codecs."""

import struct
import subprocess

import pytest
import real_ouch
from hypothesis import given, settings
from hypothesis import strategies as st
from nasdaq_protocols import soup
from tickwire.hdl.wire import soupbintcp as table
from tickwire.host import ouch as host
from tickwire.host.fields import WireError
from tickwire.sim.models.soupbintcp import (
    LoginAccepted,
    LoginRequest,
    Packet,
    Packets,
    SoupError,
    packet,
)

WORDS = st.text("ABCxyz019", max_size=6)


@pytest.mark.parametrize("name", real_ouch.NAMES)
def test_real_frames_come_back_byte_for_byte(name):
    image = real_ouch.payload(name)
    (one,) = Packets().feed(image)
    assert packet(one.type, one.payload) == image
    (theirs,) = host.packets(bytearray(image))
    assert theirs == (one.type.encode(), one.payload)
    assert host.packet(*theirs) == image
    assert one.type.encode() in (table.FROM_CLIENT if name in real_ouch.FROM_CLIENT
                                 else table.FROM_SERVER)


@given(WORDS, WORDS, WORDS, st.integers(0, 10**19))
def test_logins_are_what_nasdaq_reads(username, password, session, sequence):
    ours = LoginRequest(username, password, session, sequence)
    _, theirs = soup.SoupMessage.from_bytes(ours.encode())
    assert (theirs.user, theirs.password, theirs.session, theirs.sequence) == (
        username, password, session, str(sequence))
    assert host.login(username, password, session, sequence) == ours.encode()
    (one,) = Packets().feed(theirs.to_bytes()[1])
    assert LoginRequest.decode(one.payload) == ours


@given(WORDS, st.integers(0, 10**19))
def test_accepted_logins_are_what_nasdaq_reads(session, sequence):
    ours = LoginAccepted(session, sequence)
    _, theirs = soup.SoupMessage.from_bytes(ours.encode())
    assert (theirs.session_id, theirs.sequence) == (session, sequence)
    (one,) = Packets().feed(theirs.to_bytes()[1])
    assert LoginAccepted.decode(one.payload) == ours


def test_other_packets_are_what_nasdaq_writes():
    for theirs, ours in (
            (soup.SequencedData(b"abc"), packet("S", b"abc")),
            (soup.UnSequencedData(b""), packet("U")), (soup.EndOfSession(), packet("Z")),
            (soup.ClientHeartbeat(), packet("R")), (soup.ServerHeartbeat(), packet("H")),
            (soup.LogoutRequest(), packet("O")), (soup.Debug("hi"), packet("+", b"hi")),
            (soup.LoginRejected(soup.LoginRejectReason.NOT_AUTHORIZED), packet("J", b"A"))):
        assert theirs.to_bytes()[1] == ours


@settings(max_examples=40)
@given(st.lists(st.tuples(st.sampled_from("SUHR+"), st.binary(max_size=40)), max_size=8),
       st.data())
def test_segments_may_end_anywhere(sent, data):
    stream = b"".join(packet(*one) for one in sent)
    cutter, waiting, found, theirs = Packets(), bytearray(), [], []
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        found += cutter.feed(stream[:size])
        waiting += stream[:size]
        theirs += host.packets(waiting)
        stream = stream[size:]
    assert found == [Packet(*one) for one in sent]
    assert theirs == [(kind.encode(), payload) for kind, payload in sent]


@pytest.mark.parametrize("stream, why", [
    (b"\0\0", "packet length 0 is not 1 to 100"),
    (b"\0\x65S", "packet length 101 is not 1 to 100"),
    (b"\0\1\xff", "packet type 0xff is not ASCII")])
def test_what_no_packet_is(stream, why):
    with pytest.raises(SoupError, match=why):
        list(Packets(100).feed(stream))


def test_a_length_of_0_is_refused_by_the_host_too():
    with pytest.raises(WireError, match="a SoupBinTCP packet has the length 0"):
        list(host.packets(bytearray(3)))


@pytest.mark.parametrize("payload, why", [
    (bytes(45), "login request has 45 bytes, not 46"),
    (b"USER1 PASSWORD            " + b"x".rjust(20), "sequence 'x' is no number"),
    (b"USER\xff PASSWORD            " + b"1".rjust(20), "username is not ASCII")])
def test_what_no_login_is(payload, why):
    with pytest.raises(SoupError, match=why):
        LoginRequest.decode(payload)


def test_what_does_not_fit_a_login():
    with pytest.raises(SoupError, match="username 'SEVENCH' is longer than 6 characters"):
        LoginRequest("SEVENCH", "", "", 1).encode()
    with pytest.raises(WireError, match="username of Login Request has 6 ASCII characters, not"):
        host.login("SEVENCH", "")


@pytest.mark.parametrize("name", ["EnterOrderMessage", "OrderAcceptedMessage"])
def test_tshark_reads_the_same_packets(name):
    shown = subprocess.run(
        ["tshark", "-r", real_ouch.path(name), "-d", "tcp.port==8001-8003,soupbintcp", "-T",
         "fields", "-e", "soupbintcp.packet_length", "-e", "soupbintcp.packet_type", "-e",
         "soupbintcp.message", "-e", "_ws.malformed"], check=True, capture_output=True, text=True)
    length, kind, message, malformed = shown.stdout.rstrip("\n").split("\t")
    (one,) = Packets().feed(real_ouch.payload(name))
    assert (int(length), kind.strip("'"), message) == (
        1 + len(one.payload), one.type, one.payload.hex())
    assert malformed == ""


def test_tshark_reads_what_we_write(tmp_path):
    """A whole session in one segment, each packet dissected."""
    stream = [LoginRequest("USER1", "PASSWORD", "", 1).encode(), packet("R"),
              packet("U", b"abc"), packet("O")]
    (tmp_path / "dump").write_text("0000 " + " ".join(f"{byte:02x}" for byte in b"".join(stream)))
    subprocess.run(["text2pcap", "-q", "-T", "4000,9001", tmp_path / "dump", tmp_path / "pcap"],
                   check=True, capture_output=True)
    shown = subprocess.run(
        ["tshark", "-r", tmp_path / "pcap", "-d", "tcp.port==9001,soupbintcp", "-T", "fields",
         "-e", "soupbintcp.packet_type", "-e", "soupbintcp.username", "-e", "_ws.malformed"],
        check=True, capture_output=True, text=True).stdout.rstrip("\n").split("\t")
    assert shown[0].replace("'", "") == "L,R,U,O"
    assert shown[1].strip() == "USER1"
    assert shown[2] == ""


def test_header_table():
    assert table.PACKET_HEADER.pack(length=5, type=ord("S")) == struct.pack(">Hc", 5, b"S")
    assert (table.LOGIN_REQUEST.size, table.LOGIN_ACCEPTED.size, table.LOGIN_REJECTED.size) == (
        46, 30, 1)
