// `bench`: measures parts of the system. One line in `Command.all` adds a command.
//
// Holds: every command explains itself with `--help`, shows how far it is, checks its own results, and ends with a report; exit
// status 1 when something came out that must not.
// Leaves to others: what is measured and how (one file a command), how it is shown (Report).

import Glibc

let arguments = CommandLine.arguments.dropFirst()
guard let command = Command.all.first(where: { $0.name == arguments.first }) else {
  print(Command.overview)
  exit(arguments.isEmpty || arguments.first == "--help" ? 0 : 2)
}
ChildProcess.watchSignals()
let flags = Flags(command, Array(arguments.dropFirst()))
let report = command.run(flags)
Progress.end()
report.show(flags)
exit(report.faults.isEmpty ? 0 : 1)
