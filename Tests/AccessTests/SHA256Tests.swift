// SHA-256 against the vectors that its standard was published with.

import Access
import Primitives
import SeededRandom
import Testing

@Suite("SHA-256")
struct SHA256Tests {
  // FIPS 180-4's examples and those of NIST's "SHA-2 Additional" and SHA256ShortMsg.rsp.
  private static let vectors: [(message: [UInt8], hash: String)] = [
    ([], "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
    (Array("abc".utf8), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
    (
      Array("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq".utf8),
      "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
    ),
    (
      Array(
        "abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu"
          .utf8),
      "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1"
    ),
    ([0xd3], "28969cdfa74a12c82f3bad960b0b000aca2ac329deea5c2328ebc6f2ba9802c1"),
    ([0xbd], "68325720aabd7c82f30f554b313d0570c95accbb7dc4b5aae11204c08ffe732b"),
    ([0xc9, 0x8c, 0x8e, 0x55], "7abc22c0ae5af26ce93dbb94433a0e0b2e119d014f8e7f65bd56c61ccccd9504"),
    ([UInt8](repeating: 0, count: 55), "02779466cdec163811d078815c633f21901413081449002f24aa3e80f0b88ef7"),
    ([UInt8](repeating: 0, count: 56), "d4817aa5497628e7c77e6b606107042bbba3130888c5f47a375e6179be789fbb"),
    ([UInt8](repeating: 0, count: 57), "65a16cb7861335d5ace3c60718b5052e44660726da4cd13bb745381b235a1785"),
    ([UInt8](repeating: 0, count: 64), "f5a5fd42d16a20302798ef6ed309979b43003d2320d9f0e8ea9831a92759fb4b"),
    ([UInt8](repeating: 0, count: 1000), "541b3e9daa09b20bf85fa273e5cbd3e80185aa4ec298e765db87742b70138a53"),
  ]

  private func text(_ hash: [UInt8]) -> String {
    hash.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
  }

  @Test("the published vectors", arguments: vectors.indices)
  func published(_ index: Int) {
    let (message, hash) = Self.vectors[index]
    #expect(text(message.withBytes { SHA256.hash($0) }) == hash)
  }

  @Test("a million times the letter a")
  func million() {
    var hash = SHA256()
    let piece = [UInt8](repeating: UInt8(ascii: "a"), count: 1000)
    for _ in 0..<1000 { piece.withBytes { hash.update($0) } }
    #expect(text(hash.digest()) == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0")
  }

  @Test("the pieces in which bytes come make no difference", arguments: 0..<8 as Range<UInt64>)
  func pieces(_ seed: UInt64) {
    var random = SplitMix64(seed: seed)
    let message = (0..<300).map { _ in UInt8(truncatingIfNeeded: random.next()) }
    let whole = message.withBytes { SHA256.hash($0) }
    for cut in 0...message.count {
      var hash = SHA256()
      Array(message[..<cut]).withBytes { hash.update($0) }
      _ = hash.digest()
      Array(message[cut...]).withBytes { hash.update($0) }
      #expect(hash.digest() == whole)
    }
  }
}
