// Field tables: every type, nesting, what is malformed; the cursor and the tree agree.

import Primitives
import SeededRandom
import Testing

@testable import AMQPProtocol

@Suite("field tables")
struct FieldTableTests {
  static func encoded(_ entries: [FieldEntry]) -> [UInt8] { written { $0.append(fields: entries) } }

  /// Type by type: the letter, the octets, and what they mean.
  static let examples: [(hex: String, value: FieldValue)] = [
    ("56", .void), ("7400", .boolean(false)), ("7401", .boolean(true)), ("62ff", .int8(-1)), ("42ff", .uint8(255)),
    ("73ffff", .int16(-1)), ("75ffff", .uint16(65535)), ("4980000000", .int32(.min)), ("69ffffffff", .uint32(.max)),
    ("6cffffffffffffffff", .int64(-1)), ("663fc00000", .float(1.5)), ("64bff0000000000000", .double(-1)),
    ("4402fffffb1e", .decimal(scale: 2, unscaled: -1250)), ("54000000006553f100", .timestamp(1_700_000_000)),
    ("5300000002c3bc", .text("ü")), ("780000000200ff", .bytes([0, 255])), ("4100000000", .array([])),
    ("41000000054901020304", .array([.int32(0x0102_0304)])), ("4600000000", .table([])),
    ("460000000401614207", .table([FieldEntry("a", .uint8(7))])),
  ]

  @Test("every type has its bytes")
  func types() throws {
    for (hex, value) in Self.examples {
      let encoded = bytes(hex: hex)
      #expect(written { $0.append(value) } == encoded)
      try encoded.withBytes { bytes in
        var cursor = FieldCursor(array: bytes)
        let first = cursor.next()
        let element = try #require(first)
        #expect(FieldValue(element.value) == value)
        #expect(element.value.type == value.type)
        #expect(Array(element.raw) == encoded)
        let second = cursor.next()
        #expect(second == nil && !cursor.isBroken)
      }
    }
    #expect(Set(Self.examples.map(\.value.type)).union([.int64Capital]) == Set(FieldType.allCases))
  }

  @Test("the views give integers, numbers and text of any width")
  func views() {
    let table = Self.encoded([
      FieldEntry("b", .int8(-8)), FieldEntry("B", .uint8(200)), FieldEntry("s", .int16(-300)),
      FieldEntry("u", .uint16(60000)), FieldEntry("I", .int32(-70000)), FieldEntry("i", .uint32(4_000_000_000)),
      FieldEntry("l", .int64(.min)), FieldEntry("f", .float(0.5)), FieldEntry("d", .double(2.25)),
      FieldEntry("t", .boolean(true)), FieldEntry("S", .text("yes")), FieldEntry("S", .text("no")),
      FieldEntry("A", .array([.int8(1), .int8(2)])), FieldEntry("F", .table([FieldEntry("k", .void)])),
    ])
    (table + bytes(hex: "014c 4c fffffffffffffffe")).withBytes { bytes in
      let table = FieldTable(bytes)
      #expect(table.isWellFormed)
      let names: [StaticString] = ["b", "B", "s", "u", "I", "i", "l", "L"]
      #expect(names.map { table[$0]?.integer } == [-8, 200, -300, 60000, -70000, 4_000_000_000, .min, -2])
      #expect(table["f"]?.double == 0.5 && table["d"]?.double == 2.25 && table["f"]?.integer == nil)
      #expect(table["t"]?.boolean == true && table["S"]?.boolean == nil && table["t"]?.string == nil)
      #expect(table["S"]?.string?.text == "yes")
      #expect(table["A"]?.array?.map { $0.value.integer } == [1, 2])
      #expect(table["F"]?.table?["k"]?.type == .void && table["k"] == nil && table["A"]?.table == nil)
    }
  }

  @Test("encode, decode, encode gives the same bytes", arguments: seeds(500))
  func roundTrip(seed: UInt64) throws {
    var random = SplitMix64(seed: seed)
    let entries = random.entries(depth: 5)
    let encoded = Self.encoded(entries)
    let bytes = GuardedMemory().copy(encoded)
    let table = FieldTable(bytes)
    #expect(table.isWellFormed)
    #expect(table.decoded == entries, replay(seed, "FieldTableTests"))
    #expect(Self.encoded(try #require(table.decoded)) == encoded)
    #expect(table.fields.flatMap { Array($0.raw) } == encoded)
    for cut in 0..<encoded.count where !Self.ends(of: table).contains(cut) {
      #expect(!FieldTable(UnsafeRawBufferPointer(rebasing: bytes[..<cut])).isWellFormed)
    }
  }

  // The places where a table may be cut and is still one.
  static func ends(of table: FieldTable) -> Set<Int> {
    var end = 0
    return Set(
      [0]
        + table.fields.map { field in
          end += field.raw.count
          return end
        })
  }

  @Test("nesting is followed to 64 levels")
  func depth() {
    func nested(_ levels: Int, inArrays: Bool) -> [FieldEntry] {
      var value = FieldValue.int8(1)
      for _ in 1..<levels { value = inArrays ? .array([value]) : .table([FieldEntry("k", value)]) }
      return [FieldEntry("k", value)]
    }
    for inArrays in [false, true] {
      for levels in [1, 63, 64, 65, 66, 2000] {
        Self.encoded(nested(levels, inArrays: inArrays)).withBytes { bytes in
          #expect(FieldTable(bytes).isWellFormed == (levels <= 64))
          #expect((FieldTable(bytes).decoded != nil) == (levels <= 64))
        }
      }
    }
  }

  @Test(
    "malformed tables are refused",
    arguments: [
      "01", "0161", "01617a", "016149", "0161490000", "016153", "016153000000", "01615300000001", "016153ffffffff00",
      "01614600000001 05", "01614100000001 7a", "01614600000003 016149", "ff61", "01615600",
    ])
  func malformed(hex: String) {
    let bytes = GuardedMemory().copy(bytes(hex: hex))
    #expect(!FieldTable(bytes).isWellFormed)
    #expect(FieldTable(bytes).decoded == nil)
    #expect(FieldTable(bytes)["zz"] == nil)
  }

  @Test("a field that is malformed is the end of the walk, what came before stays readable")
  func brokenEnd() {
    let memory = GuardedMemory()
    let table = FieldTable(memory.copy(bytes(hex: "0161 4207 0162 49")))
    var cursor = table.fields
    let first = cursor.next()
    #expect(first?.value.integer == 7 && !cursor.isBroken)
    let rest = [cursor.next(), cursor.next()]
    #expect(rest.allSatisfy { $0 == nil } && cursor.isBroken)
    #expect(table["a"]?.integer == 7 && table["b"] == nil)
  }
}
