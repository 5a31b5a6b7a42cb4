"""IGMP, versions 1 to 3 (RFC 1112, appendix I; RFC 2236; RFC 3376)."""

from .fixed import FixedLayout

__all__ = ["IGMP_MESSAGE", "QUERY_TAIL", "REPORT_HEADER", "GROUP_RECORD", "PROTOCOL_IGMP",
           "MEMBERSHIP_QUERY", "V1_REPORT", "V2_REPORT", "V2_LEAVE", "V3_REPORT",
           "MODE_IS_EXCLUDE", "CHANGE_TO_INCLUDE", "CHANGE_TO_EXCLUDE", "ALL_ROUTERS",
           "V3_ROUTERS", "ROUTER_ALERT", "INTERNETWORK_CONTROL"]

PROTOCOL_IGMP = 2           # IPv4 protocol number

MEMBERSHIP_QUERY = 0x11     # type
V1_REPORT = 0x12
V2_REPORT = 0x16
V2_LEAVE = 0x17
V3_REPORT = 0x22

MODE_IS_EXCLUDE = 2         # recordType; without sources: a member, whoever sends
CHANGE_TO_INCLUDE = 3       # without sources: no longer a member
CHANGE_TO_EXCLUDE = 4

ALL_ROUTERS = 0xE0000002    # 224.0.0.2: where a version 2 host sends that it leaves
V3_ROUTERS = 0xE0000016     # 224.0.0.22: where a version 3 host sends its reports

ROUTER_ALERT = 0x94040000   # IPv4 option (RFC 2113), which every IGMP message carries
INTERNETWORK_CONTROL = 0xC0     # type of service (RFC 3376, 4)

IGMP_MESSAGE = FixedLayout("IGMP message", [
    ("type", 1),
    ("maxRespCode", 1),         # units of 0.1 s; from 128 on a floating-point number in version 3
    ("checksum", 2),
    ("groupAddress", 4),        # 0 in a general query
], byteorder="big")

QUERY_TAIL = FixedLayout("tail of an IGMPv3 query", [
    ("suppressAndRobustness", 1),
    ("queryIntervalCode", 1),
    ("numberOfSources", 2),
], byteorder="big")

REPORT_HEADER = FixedLayout("IGMPv3 report", [
    ("type", 1),
    ("reserved1", 1),
    ("checksum", 2),
    ("reserved2", 2),
    ("numberOfGroupRecords", 2),
], byteorder="big")

GROUP_RECORD = FixedLayout("IGMPv3 group record", [
    ("recordType", 1),
    ("auxDataLength", 1),
    ("numberOfSources", 2),
    ("multicastAddress", 4),
], byteorder="big")
