"""A client of RocketMQ's remoting protocol, byte for byte from its description: frames with JSON or binary headers over one socket.

Holds: every wait has a deadline; responses are found by their number, requests of the server kept aside in their order.
Leaves to others: what a case expects (the remoting_*.py files).
"""

import collections
import itertools
import json
import socket
import struct
import time
import zlib

from escapement_driver import equal

DEADLINE_S = 20.0
MAGIC = 0xAABBCCA7
SEND, PULL, QUERY_OFFSET, UPDATE_OFFSET, CREATE_TOPIC = 10, 11, 14, 15, 17
SEARCH, MAX_OFFSET, MIN_OFFSET, VIEW = 29, 30, 31, 33
HEARTBEAT, UNREGISTER, SEND_BACK, END_TRANSACTION, MEMBERS, CHECK, CHANGED = 34, 35, 36, 37, 38, 39, 40
LOCK, UNLOCK, ROUTE, TOPICS, SEND_V2, SEND_BATCH, TOPIC_CONFIG, RECALL = 41, 42, 105, 206, 310, 320, 351, 370
BROKER = "escapement"

Frame = collections.namedtuple("Frame", "code opaque flag remark fields body serialization")
V2 = {"producerGroup": "a", "topic": "b", "defaultTopic": "c", "defaultTopicQueueNums": "d", "queueId": "e", "sysFlag": "f",
      "bornTimestamp": "g", "flag": "h", "properties": "i", "reconsumeTimes": "j", "unitMode": "k", "maxReconsumeTimes": "l",
      "batch": "m"}


class Ended(Exception):
    """The server has closed the socket."""


def properties(**values):
    """Properties as their text, each ended as Java clients do."""
    return "".join(f"{name}\x01{value}\x02" for name, value in values.items())


def parse_properties(text):
    return dict(pair.split("\x01", 1) for pair in text.split("\x02") if pair)


def frame(code, opaque, fields=None, body=b"", flag=0, binary=False, remark=""):
    """A request as bytes."""
    fields = fields or {}
    if binary:
        pairs = b"".join(
            struct.pack(">h", len(name.encode())) + name.encode() + struct.pack(">i", len(str(value).encode())) + str(value).encode()
            for name, value in fields.items())
        header = (struct.pack(">hbhii", code, 0, 401, opaque, flag) + struct.pack(">i", len(remark.encode())) + remark.encode()
                  + struct.pack(">i", len(pairs)) + pairs)
    else:
        header = json.dumps({"code": code, "language": "JAVA", "version": 401, "opaque": opaque, "flag": flag, "remark": remark,
                             "extFields": fields, "serializeTypeCurrentRPC": "JSON"}).encode()
    return struct.pack(">iI", 4 + len(header) + len(body), (1 << 24 if binary else 0) | len(header)) + header + body


def parse_header(kind, header):
    if kind == 0:
        value = json.loads(header)
        return value["code"], value["opaque"], value["flag"], value.get("remark"), value.get("extFields") or {}
    code, _language, _version, opaque, flag, remark_bytes = struct.unpack_from(">hbhiii", header)
    at = 17
    remark = header[at:at + remark_bytes].decode()
    at += remark_bytes
    total, = struct.unpack_from(">i", header, at)
    at += 4
    equal(at + total, len(header), "the length of the fields")
    fields = {}
    while at < len(header):
        size, = struct.unpack_from(">h", header, at)
        name = header[at + 2:at + 2 + size].decode()
        at += 2 + size
        size, = struct.unpack_from(">i", header, at)
        fields[name] = header[at + 4:at + 4 + size].decode()
        at += 4 + size
    return code, opaque, flag, remark, fields


def messages(body):
    """The messages in the body of a pull's response."""
    found, at = [], 0
    while at < len(body):
        (size, magic, crc, queue, flag, offset, physical, sys_flag, born, born_host, born_port, stored, store_host, store_port,
         times, prepared, length) = struct.unpack_from(">iIIiiqqiq4siq4siiqi", body, at)
        equal(magic, MAGIC, "the magic number")
        place = at + 88
        content = body[place:place + length]
        equal(crc, zlib.crc32(content) & 0x7FFFFFFF, "the checksum")
        place += length
        topic = body[place + 1:place + 1 + body[place]].decode()
        place += 1 + body[place]
        size_of_properties, = struct.unpack_from(">h", body, place)
        text = body[place + 2:place + 2 + size_of_properties].decode()
        equal(place + 2 + size_of_properties - at, size, "the size of a message")
        found.append({
            "queue": queue, "flag": flag, "offset": offset, "physical": physical, "sys_flag": sys_flag, "born": born,
            "born_host": socket.inet_ntoa(born_host), "born_port": born_port, "stored": stored,
            "store_host": socket.inet_ntoa(store_host), "store_port": store_port, "times": times, "prepared": prepared,
            "body": content, "topic": topic, "properties": parse_properties(text)})
        at += size
    return found


def batch(*parts):
    """The body of a batch: (body, properties) of each message."""
    out = b""
    for body, text in parts:
        text = text.encode()
        out += struct.pack(">iiiii", 22 + len(body) + len(text), 0, 0, 0, len(body)) + body + struct.pack(">h", len(text)) + text
    return out


def message_id(message):
    """The id that clients make of a message's place."""
    return (socket.inet_aton(message["store_host"]) + struct.pack(">iq", message["store_port"], message["physical"])).hex().upper()


class Peer:
    """One connection; `binary` says how it writes its headers."""

    def __init__(self, port, binary=False):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.binary = binary
        self.buffer = bytearray()
        self.numbers = itertools.count(1)
        self.responses = {}
        self.asked = collections.deque()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    # Out.

    def raw(self, data):
        self.socket.sendall(data)

    def send(self, code, fields=None, body=b"", flag=0, binary=None):
        """Sends a request; gives its number."""
        opaque = next(self.numbers)
        self.raw(frame(code, opaque, fields, body, flag, self.binary if binary is None else binary))
        return opaque

    # In.

    def read(self, end):
        """Takes the next frame into its place."""
        while len(self.buffer) < 4 or len(self.buffer) < 4 + struct.unpack_from(">i", self.buffer)[0]:
            self.socket.settimeout(max(0.001, end - time.monotonic()))
            try:
                data = self.socket.recv(1 << 20)
            except ConnectionError:
                raise Ended from None
            if not data:
                raise Ended
            self.buffer += data
        size, word = struct.unpack_from(">iI", self.buffer)
        kind, length = word >> 24, word & 0xFFFFFF
        code, opaque, flag, remark, fields = parse_header(kind, bytes(self.buffer[8:8 + length]))
        got = Frame(code, opaque, flag, remark, fields, bytes(self.buffer[8 + length:4 + size]), kind)
        del self.buffer[:4 + size]
        if flag & 1:
            assert opaque not in self.responses, f"two responses to request {opaque}"
            self.responses[opaque] = got
        else:
            self.asked.append(got)

    def response(self, opaque, timeout=DEADLINE_S):
        end = time.monotonic() + timeout
        while opaque not in self.responses:
            self.read(end)
        return self.responses.pop(opaque)

    def request(self, timeout=DEADLINE_S):
        """The next request that the server sends."""
        end = time.monotonic() + timeout
        while not self.asked:
            self.read(end)
        return self.asked.popleft()

    def call(self, code, fields=None, body=b"", **options):
        return self.response(self.send(code, fields, body, **options))

    def ok(self, code, fields=None, body=b"", **options):
        """A call that succeeds."""
        got = self.call(code, fields, body, **options)
        equal((got.code, got.flag & 1), (0, 1), f"the answer to {code} ({got.remark})")
        return got

    def quiet(self, seconds):
        """Nothing comes for so long."""
        before = len(self.responses) + len(self.asked)
        try:
            self.read(time.monotonic() + seconds)
        except TimeoutError:
            return
        raise AssertionError(f"something came: {list(self.responses.values())[before:]} {list(self.asked)}")

    # What clients do.

    def publish_fields(self, topic, queue=0, group="p", text="", **more):
        return {"producerGroup": group, "topic": topic, "defaultTopic": "TBW102", "defaultTopicQueueNums": 4, "queueId": queue,
                "sysFlag": 0, "bornTimestamp": int(time.time() * 1000), "flag": 0, "properties": text, "reconsumeTimes": 0,
                "unitMode": "false", "batch": "false", **more}

    def publish(self, topic, body=b"x", queue=0, code=SEND, more=None, **names):
        """Sends a message that is taken; its keywords are its properties. Gives the fields of the answer."""
        fields = self.publish_fields(topic, queue, text=properties(**names), **(more or {}))
        if code != SEND:
            fields = {V2[name]: value for name, value in fields.items()}
        return self.ok(code, fields, body).fields

    def pull_fields(self, topic, queue=0, offset=0, group="g", maximum=32, wait_ms=0, tags="*", commit=None):
        return {"consumerGroup": group, "topic": topic, "queueId": queue, "queueOffset": offset, "maxMsgNums": maximum,
                "sysFlag": 4 | (2 if wait_ms else 0) | (1 if commit is not None else 0), "commitOffset": commit or 0,
                "suspendTimeoutMillis": wait_ms, "subscription": tags, "subVersion": 0}

    def pull(self, topic, **options):
        """Pulls; gives (code, next offset, messages)."""
        got = self.call(PULL, self.pull_fields(topic, **options))
        return got.code, int(got.fields.get("nextBeginOffset", -1)), messages(got.body)

    def collect(self, topic, count, queues=4, group="g", **options):
        """Pulls until `count` messages of the topic have come, or fails."""
        found, offsets, end = [], [0] * queues, time.monotonic() + DEADLINE_S
        while len(found) < count:
            assert time.monotonic() < end, f"{len(found)} of {count} messages came"
            for queue in range(queues):
                code, offsets[queue], got = self.pull(topic, queue=queue, offset=offsets[queue], group=group, **options)
                assert code in (0, 19), f"a pull ended with {code}"
                found += got
            if len(found) < count:
                time.sleep(0.01)
        return found

    def heartbeat(self, client, group=None, topics=(), producer=None):
        consumers = [{"groupName": group, "consumeType": "CONSUME_PASSIVELY", "messageModel": "CLUSTERING",
                      "consumeFromWhere": "CONSUME_FROM_LAST_OFFSET", "unitMode": False,
                      "subscriptionDataSet": [{"topic": topic, "subString": tags, "subVersion": 1, "tagsSet": [], "codeSet": []}
                                              for topic, tags in topics]}] if group else []
        producers = [{"groupName": producer}] if producer else []
        body = {"clientID": client, "consumerDataSet": consumers, "producerDataSet": producers}
        return self.ok(HEARTBEAT, {}, json.dumps(body).encode())

    def members(self, group):
        return json.loads(self.ok(MEMBERS, {"consumerGroup": group}).body)["consumerIdList"]

    def lock(self, code, client, group, *queues):
        body = {"consumerGroup": group, "clientId": client,
                "mqSet": [{"topic": topic, "brokerName": BROKER, "queueId": queue} for topic, queue in queues]}
        got = self.ok(code, {}, json.dumps(body).encode())
        if code == LOCK:
            return sorted((queue["topic"], queue["queueId"]) for queue in json.loads(got.body)["lockOKMQSet"])
        return None
