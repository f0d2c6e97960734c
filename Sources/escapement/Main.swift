// The program: finds the sub-command, runs it, turns what went wrong into a message and an exit code.
//
// Exit codes: 0 done; 1 the server refused, could not be reached, or a check failed; 2 the command line is wrong; 3 a
// folder could not be checked.

import Dispatch
import EscapementClient
import Foundation

@main
enum Program {
  static let version = "0.1.0"

  /// Every sub-command. One more is one more line.
  static let commands: [Command] = [
    .serve, .schedule, .publish, .cancel, .reschedule, .get, .list,
    .listen, .redrive, .topics, .queues, .exchanges, .stats, .top, .wheel,
    .cluster, .clusterMove, .clusterSeize, .clusterGeneration, .accessAdd, .accessRemove, .accessList, .snapshot,
    .health, .check, .demo,
  ]

  static func main() {
    let words = Array(CommandLine.arguments.dropFirst())
    if let command = command(words), let run = command.runOnMainThread {
      exit(outcome(of: command) { try options(command, words).map(run) ?? 0 })
    }
    Task { exit(await run(words)) }
    dispatchMain()
  }

  /// Does what the words say; gives the exit code.
  static func run(_ words: [String]) async -> Int32 {
    switch words.first {
    case nil: return complain("no command given", about: nil)
    case "-h", "--help", "help":
      print(help)
      return 0
    case "--version":
      print("escapement \(version)")
      return 0
    default: break
    }
    guard let command = command(words) else {
      let word = words[0]
      let family = commands.filter { $0.name.hasPrefix(word + " ") }
      if !family.isEmpty { return explain(family, words) }
      return complain(word.hasPrefix("-") ? "unknown option '\(word)'" : "unknown command '\(word)'", about: nil)
    }
    do {
      guard let options = try options(command, words) else { return 0 }
      return try await command.run(options)
    } catch {
      return outcome(of: command) { throw error }
    }
  }

  /// The command that the words begin with; some names are two words.
  private static func command(_ words: [String]) -> Command? {
    commands.filter { words.starts(with: $0.words) }.max { $0.words.count < $1.words.count }
  }

  /// For the first word of commands of two words alone: lists them when help was asked for, complains otherwise.
  private static func explain(_ family: [Command], _ words: [String]) -> Int32 {
    let names = family.map { "'escapement \($0.name)'" }.joined(separator: ", ")
    guard words.dropFirst().contains(where: { $0 == "-h" || $0 == "--help" }) else {
      return complain("'\(words.joined(separator: " "))' is no command; there are \(names)", about: nil)
    }
    print("usage: escapement \(words[0]) COMMAND [arguments] [options]\n\ncommands:\n\(rows(of: family))")
    return 0
  }

  /// The command's options; nil when all that was asked for was help, which is printed.
  private static func options(_ command: Command, _ words: [String]) throws(UsageError) -> CommandLineOptions? {
    let options = try CommandLineOptions(
      Array(words.dropFirst(command.words.count)), options: command.options, positional: command.positional)
    if !options.asksForHelp { return options }
    print(command.help)
    return nil
  }

  /// The exit code; what went wrong is said on the standard error.
  private static func outcome(of command: Command, _ body: () throws -> Int32) -> Int32 {
    do {
      return try body()
    } catch let error as UsageError {
      return complain(error.description, about: command)
    } catch EscapementError.invalidRequest(let reason) {
      return complain(reason, about: command)
    } catch is CancellationError {
      return 130  // as a shell reports a program that SIGINT ended
    } catch {
      printError("escapement \(command.name): \(error)")
      return 1
    }
  }

  private static func complain(_ message: String, about command: Command?) -> Int32 {
    let words = ["escapement"] + (command.map { [$0.name] } ?? [])
    let name = words.joined(separator: " ")
    printError("\(name): \(message)\nTry '\(name) --help'.")
    return 2
  }

  /// A line for each command.
  private static func rows(of commands: [Command]) -> String {
    let rows = commands.map { command in
      (([command.name] + command.positional).joined(separator: " "), command.summary.prefix { $0 != "\n" })
    }
    let width = (rows.map(\.0.count).max() ?? 0) + 2
    return rows.map { "  " + $0.0.padded(to: width) + $0.1 }.joined(separator: "\n")
  }

  static var help: String {
    "usage: escapement COMMAND [arguments] [options]\n\nMessages that arrive later: a delay-message service.\n\n"
      + "commands:\n" + rows(of: commands) + "\n" + Command.optionHelp([.flag("version", "the version")])
      + "\n'escapement COMMAND --help' explains a command."
  }
}

/// Writes a line to the standard error.
func printError(_ text: String) { FileHandle.standardError.write(Data((text + "\n").utf8)) }
