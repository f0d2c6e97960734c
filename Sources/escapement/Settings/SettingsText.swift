// The settings as text: for `--print-settings`, and as the page docs/settings.md.

enum SettingsText {
  /// A line for each setting: its name, the value that holds, and where it came from.
  static func lines(_ resolved: ResolvedSettings) -> String {
    let rows = SettingsTable.all.map { setting in
      let value = setting.shown(resolved.settings)
      return (name: setting.name, value: value.isEmpty ? "-" : value, origin: "\(resolved.origin(setting))")
    }
    let nameWidth = rows.map(\.name.count).max()! + 2
    let valueWidth = rows.map(\.value.count).max()! + 2
    return rows.map { $0.name.padded(to: nameWidth) + $0.value.padded(to: valueWidth) + $0.origin }
      .joined(separator: "\n")
  }

  /// The reference page.
  static var page: String {
    var text = """
      # Settings of `escapement serve`

      This page is made from the table in `Sources/escapement/Settings/SettingsTable.swift`; a test compares the two.

      A setting can be a flag (`--tick-ms 5`), an environment variable (`ESCAPEMENT_TICK_MS=5`) or a key of the JSON file that
      `--config FILE` names (`{"tick-ms": 5}`). A flag counts before a variable, a variable before the file, the file before the
      default. `escapement serve --print-settings` shows what holds and where it came from, and ends.

      - Names that are not known are refused with the nearest that is, values that are not allowed with what is; the exit status
        is 2. An empty variable counts as not set.
      - Milliseconds may be written as lengths of time (`500ms`, `10m`, `1h30m`), bytes as sizes (`64KiB`, `16MiB`, `1GiB`); in
        the file such a value is a string, a plain number may be a number.
      - A flag without a value (`--salvage`) is `on` or `off` in a variable, `true` or `false` in the file.
      - Of the variables that begin with `ESCAPEMENT_`, these are none of the server's: `ESCAPEMENT_SERVER`,
        `ESCAPEMENT_TOKEN`, `ESCAPEMENT_TLS` and `ESCAPEMENT_TLS_CA` (other commands), and `ESCAPEMENT_PORT`, `ESCAPEMENT_PORT_…` and `ESCAPEMENT_SERVICE_…`, which
        Kubernetes sets where a service is called `escapement`.
      - `ESCAPEMENT_STALL_SYNC_MS=300` is for tests and measurements: every sync takes so much longer than the disk does, up to a
        minute. `ESCAPEMENT_WALL_OFFSET_MS=2000` lets a server believe that it is so much later, up to a day either way. They are no
        settings, and `--print-settings` does not show them.

      """
    for section in SettingsTable.sections {
      text += "\n## \(section.title)\n\n| setting | meaning | values | default |\n|---|---|---|---|\n"
      for setting in section.settings {
        let standard = setting.standard.isEmpty ? "none" : "`\(cell(setting.standard))`"
        text +=
          "| `\(setting.name)`<br>`\(setting.variable)` | \(cell(setting.meaning)) | \(cell(setting.values)) | \(standard) |\n"
      }
    }
    return text
  }

  // A bar would end the cell.
  private static func cell(_ text: String) -> String { text.split(separator: "|").joined(separator: "\\|") }
}
