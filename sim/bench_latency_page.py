"""The text of docs/latency.md around its tables."""

__all__ = ["PAGE"]

PAGE = """\
# Latency

`make bench` measures and writes this page, but for the rooms that are summed up in the table of
cases: their tests assert them.

All figures are cycles of the core's clock in simulated gateware: 6.4 ns at 156.25 MHz, and
whatever the routed clock gives on a device. Nothing here was measured on a card. Transceivers are
not included and nothing is added for them.

## Where a cycle is counted

From the XGMII input word (cycle 0) which carries the deciding byte to the XGMII output word which
carries START. A room with latency 1 has its output in the cycle after its input. Latency 0 is a
combinational door.

| room | from → to | cycles |
|---|---|---|
| ElasticCrossing | XGMII word in `rx` → in `sync` | 3, ± 1 with the phase of the two clocks |
| MacReceive | word → beat | {receive_beat} |
| | word with TERMINATE → FrameEnd | {receive_end} |
| IpReceive | beat → payload beat | 1 |
| | FrameEnd → DatagramEnd | 1 |
| FeedDecoder | payload beat → FeedEvent | 1 |
| | DatagramEnd → FrameVerdict | 1 |
| PriceLevelBook | last level event of an update → BookEvent | 1 |
| ThresholdStrategy | BookEvent or ticker field → OrderIntent | 1 |
| LaunchGate | intent or verdict → intent released | 0 |
| RiskGate | intent → order or refusal | 1 |
| OrderTransmit | order → first beat offered | 0 |
| MacTransmit | first beat offered → word with START | {transmit_start} |

Each is asserted as an exact number in the test of its room. Their sums, which the stamps of a
replay confirm:

| case | cycles | required at most |
|---|---|---|
| deciding field of a ticker message → order, `cut_through` | 9 | 14 |
| last level of a book update → order, `cut_through` | 10 | 20 |
| end of a good frame → order, `after_fcs`, either trigger | 10 | 10 |

## What a replay measures

{capture} back to back at 10 Gb/s, by the probes in the gateware; the words of the wire,
counted from outside, give the same. `make demo` repeats it, the report has the histograms.

| launch policy, trigger | START of the deciding frame | orders | least | most |
|---|---|---|---|---|
{orders}

An order that comes while a host frame or an answer of the hardware's is on the wire waits for its
end: 1,538 bytes with preamble, FCS and gap are 192 cycles. `FRAME_CAP` limits host frames while
the gateway is armed. An answer is as long as what it answers: switch ICMP or UDP echo off with
`RESPONDER` where an order must not wait for it.

What hardware answers, from the word with TERMINATE of the request to the word with START of the
answer, on an idle wire, START of the request in lane 0 / lane 4:

| request | bytes without FCS | cycles |
|---|---|---|
{answers}

An update whose touch the preview cannot know (docs/adr/0002) is decided later, by the book's
authority: it is counted in `BOOK_LATE` and has no constant latency. The replay of the sample
capture has none.

Hardware stamps the cycle of each of these points and the host reads them with each order, so the
figures of a replay come from the gateware itself. The crossing's phase is the only thing that
moves them.
"""
