// The access file is read again while the server runs.
//
// The loop waits for this one read: it is a small file, and somebody has just asked for it.

import Access

extension Server {
  /// Takes the file as it is now, if it can be read; else what it was stays.
  func reloadAccess() {
    guard let path = settings.accessPath, let old = services.access else { return }
    do throws(AccessError) {
      services.access = try AccessFile(path: path)
    } catch {
      return log("the access file was not read again, and what it said holds: \(error)")
    }
    for connection in connections.values.sorted(by: { $0.key < $1.key }) where !connection.hasEnded {
      if !connection.session.any.accessChanged({ services.renewed($0, old) }) { connection.output.closeNow() }
      touch(connection)
      // A fetch that was refused does not hold up what stands behind it any more.
      updateInterest(connection)
    }
    log("read the access file again: \(services.access?.entries.count ?? 0) entries")
  }
}
