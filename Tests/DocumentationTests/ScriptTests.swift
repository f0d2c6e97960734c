// Checks that are scripts, because they read the sources as text.

import Testing

@Suite("checks of the sources")
struct ScriptTests {
  @Test("nothing in Sources is declared and mentioned nowhere else")
  func deadCode() throws {
    let (status, output) = try Repository.run(script: "Tests/DeadCode/find.py")
    #expect(status == 0, "\(output)")
  }

  @Test("every planted bug of Tests/Mutations still finds its place")
  func mutations() throws {
    let (status, output) = try Repository.run(script: "Tests/Mutations/run.py", ["--check"])
    #expect(status == 0, "\(output)")
  }
}
