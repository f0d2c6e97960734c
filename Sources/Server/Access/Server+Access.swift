// Files that are read again while the server runs.
//
// The loop waits for these reads: they are small files, and somebody has just asked for it.

import Access
import TLS

extension Server {
  /// New connections get the certificates as they are now, if they can be read; else what they were stays.
  func reloadTLS() {
    guard let files = settings.tlsFiles else { return }
    do throws(TLSError) {
      tls = try TLSContext(server: files)
      log(.info, "tls_read", "read the files of TLS again")
    } catch {
      log(.error, "tls_not_read", "the files of TLS were not read again, and what they said holds: \(error)")
    }
  }

  /// Takes the access file as it is now, if it can be read; else what it was stays.
  func reloadAccess() {
    guard let path = settings.accessPath, services.admission.access != nil else { return }
    let file: AccessFile
    do throws(AccessError) { file = try AccessFile(path: path) } catch {
      return log(.error, "access_not_read", "the access file was not read again, and what it said holds: \(error)")
    }
    take(file)
    log(.info, "access_read", "read the access file again: \(file.entries.count) entries")
  }

  /// Whoever is here is from now on what this file says.
  package func take(_ file: AccessFile) {
    guard let old = services.admission.access else { return }
    services.admission.access = file
    for connection in connections.values.sorted(by: { $0.key < $1.key }) where !connection.hasEnded {
      if !connection.session.any.accessChanged({ services.admission.renewed($0, old) }) { connection.output.closeNow() }
      touch(connection)
      // A fetch that was refused does not hold up what stands behind it any more.
      updateInterest(connection)
    }
  }
}
