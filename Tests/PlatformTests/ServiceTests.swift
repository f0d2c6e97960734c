// The service manager's side, and the memory of the machine.

import Glibc
import Testing

@testable import Platform

@Suite("the surroundings of a service")
struct ServiceTests {
  @Test("memory is what the machine has, or less")
  func memory() {
    let machine = sysconf(Int32(_SC_PHYS_PAGES)) * sysconf(Int32(_SC_PAGESIZE))
    #expect((64 << 20...max(64 << 20, machine)).contains(SystemMemory.bytes()))
  }

  @Test(
    "without a socket that can be reached there is nobody to tell",
    arguments: [
      [:], ["NOTIFY_SOCKET": ""], ["NOTIFY_SOCKET": "relative"], ["NOTIFY_SOCKET": "/nowhere/at/all"],
      ["NOTIFY_SOCKET": "@nobody-listens-here"], ["NOTIFY_SOCKET": "/" + String(repeating: "x", count: 200)],
    ] as [[String: String]])
  func nobody(_ environment: [String: String]) {
    #expect(ServiceNotifier(environment: environment) == nil)
  }
}
