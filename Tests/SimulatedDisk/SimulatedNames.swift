// Which names there are, as programs see them and as a loss of power would leave them.
//
// Holds: a change of a name is durable after a sync of its folder; before, a crash keeps any subset of the changes, in order.
// A rename happens whole or not at all.
// Leaves to others: what the names stand for.

/// Files by path, and folders.
struct SimulatedNames {
  enum Change {
    case link(String, Int)
    case unlink(String)
    case rename(String, to: String, Int)
    case makeFolder(String)
    case removeFolder(String)

    /// The folder whose sync makes it durable.
    var folder: String {
      switch self {
      case .link(let path, _), .unlink(let path), .rename(_, to: let path, _), .makeFolder(let path),
        .removeFolder(let path):
        SimulatedNames.folder(of: path)
      }
    }
  }

  struct State {
    var files: [String: Int] = [:]
    var folders: Set<String> = [""]

    mutating func apply(_ change: Change) {
      switch change {
      case .link(let path, let file): files[path] = file
      case .unlink(let path): files[path] = nil
      case .rename(let path, let newPath, let file):
        if files[path] == file { files[path] = nil }
        files[newPath] = file
      case .makeFolder(let path): folders.insert(path)
      case .removeFolder(let path): folders.remove(path)
      }
    }
  }

  private(set) var now = State()
  private var durable = State()
  private var pending: [Change] = []

  static func folder(of path: String) -> String {
    path.lastIndex(of: "/").map { String(path[..<$0]) } ?? ""
  }

  mutating func apply(_ change: Change) {
    now.apply(change)
    pending.append(change)
  }

  mutating func sync(folder: String) {
    for change in pending where change.folder == folder { durable.apply(change) }
    pending.removeAll { $0.folder == folder }
  }

  /// The names after a loss of power; what lay in a folder that is lost is lost too.
  func afterCrash(_ random: inout SplitMix64) -> State {
    var state = durable
    let mode = random.next() % 4
    for change in pending {
      let isKept = mode == 0 ? false : mode == 1 ? true : random.next() & 1 == 1
      if isKept { state.apply(change) }
    }
    let folders = state.folders
    state.files = state.files.filter { path, _ in Self.parents(of: path).allSatisfy(folders.contains) }
    state.folders = folders.filter { path in Self.parents(of: path).allSatisfy(folders.contains) }
    return state
  }

  private static func parents(of path: String) -> [String] {
    var parents: [String] = []
    var rest = path
    while !rest.isEmpty {
      rest = folder(of: rest)
      parents.append(rest)
    }
    return parents
  }
}

extension SimulatedNames {
  /// Names that have always been on the disk.
  init(durable state: State) {
    now = state
    durable = state
  }
}
