// snapshot: a copy of the data folder while the server goes on.
//
// The request waits for the copy as others wait for the disk: it is given again when the copy is made, and finds its result.

import Broker
import Engine
import LineProtocol
import Platform
import Primitives

/// The snapshot that was asked for last.
struct RequestedSnapshot {
  /// Whose request it is.
  let connection: UInt64
  let folder: String
  /// Nil while it is being made.
  var result: Result<SnapshotSummary, StorageError>?
}

extension LineSession {
  func snapshot(_ request: Request) throws(RequestStop) {
    guard let bytes = try request.string(.folder) else { throw .refused(.missing(.folder)) }
    let folder = String(decoding: bytes, as: UTF8.self)
    guard folder.hasPrefix("/"), bytes.count <= 4000, !bytes.contains(0) else {
      throw .refused(.invalid(.folder, mustBe: "an absolute path on the server's machine"))
    }
    if let mine = services.requestedSnapshot, mine.connection == key, mine.folder == folder {
      guard let result = mine.result else { throw .waitForDisk }
      services.requestedSnapshot = nil
      return try reply(request, result)
    }
    try beginSnapshot(folder)
    throw .waitForDisk
  }

  private func beginSnapshot(_ folder: String) throws(RequestStop) {
    let unfinished = UnfinishedFolder(path: folder)
    let target = SnapshotTarget(
      open: { () throws(StorageError) in try unfinished.begin() },
      finish: { () throws(StorageError) in try unfinished.finish() })
    let hasBegun = services.engine.makeSnapshot(target) { [unowned services, key] result in
      services.requestedSnapshot?.result = result
      services.broker.giveAgain(connection: key)
    }
    guard hasBegun else {
      throw .refused(Refusal(code: .badState, message: "another snapshot is being made; try again when it is done"))
    }
    services.requestedSnapshot = RequestedSnapshot(connection: key, folder: folder)
  }

  private func reply(_ request: Request, _ result: Result<SnapshotSummary, StorageError>) throws(RequestStop) {
    switch result {
    case .success(let summary):
      beginReply(request)
      out.append(",\"sequence\":")
      out.appendInteger(summary.sequence)
      field(",\"linkedFiles\":", Int64(summary.linkedFiles))
      field(",\"copiedFiles\":", Int64(summary.copiedFiles))
      field(",\"copiedBytes\":", Int64(summary.copiedBytes))
      out.endLine()
    case .failure(let error):
      throw .refused(
        Refusal(code: error.kind == .diskFull ? .diskFull : .badState, message: "no snapshot was made: \(error)"))
    }
  }
}
