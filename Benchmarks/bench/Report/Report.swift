// What a command has found out: a value that commands fill, and that is shown as text, JSON, a page, a picture or Markdown.
//
// Holds: nothing here is formatted, and nothing is measured.
// Leaves to others: showing it (`Report+Text`, `Report+JSON`, `Report+Page`, `Report+Markdown`).

/// The result of a command.
struct Report: Encodable {
  /// How long something took or how late it was, by name.
  struct Latency: Encodable {
    var name: String
    var histogram: LatencyHistogram
  }

  /// How many a second, over time.
  struct Rate: Encodable {
    var name: String
    var series: RateSeries
  }

  /// A number with a unit.
  struct Figure: Encodable {
    var name: String
    var value: Double
    var unit: String
  }

  /// The same number of several competitors, side by side.
  struct Comparison: Encodable {
    struct Bar: Encodable {
      var name: String
      var value: Double
      /// Whether it is this project's, and so drawn in its colour.
      var isOurs = false
    }

    var title: String
    /// What the numbers count; empty for none. `ns` is shown in the unit that fits.
    var unit: String
    var isLowBetter: Bool
    var bars: [Bar]
  }

  /// A setting of the run.
  struct Setting: Encodable {
    var name: String
    var value: String
  }

  var command: String
  var title: String
  /// One sentence: what was done, and from where to where the times count.
  var meaning: String
  var settings: [Setting] = []
  var machine = Machine()
  var latencies: [Latency] = []
  var rates: [Rate] = []
  var figures: [Figure] = []
  /// The few figures that stand at the top, when they are not those of the first distribution.
  var headlines: [Figure] = []
  var comparisons: [Comparison] = []
  /// What a reader must know about the figures.
  var notes: [String] = []
  /// What must not have happened. A report with faults ends the program with status 1.
  var faults: [String] = []

  init(_ flags: Flags, title: String, meaning: String) {
    command = flags.command
    self.title = title
    self.meaning = meaning
    settings = flags.shown.map { Setting(name: $0.name, value: $0.value) }
  }

  mutating func add(_ name: String, _ histogram: LatencyHistogram) {
    if histogram.count > 0 { latencies.append(Latency(name: name, histogram: histogram)) }
  }

  mutating func add(_ name: String, _ series: RateSeries) { rates.append(Rate(name: name, series: series)) }

  mutating func add(_ name: String, _ value: some BinaryInteger, _ unit: String) {
    figures.append(Figure(name: name, value: Double(value), unit: unit))
  }

  mutating func add(_ name: String, _ value: Double, _ unit: String) {
    figures.append(Figure(name: name, value: value, unit: unit))
  }

  /// Adds a fault unless `holds`.
  mutating func check(_ holds: Bool, _ fault: String) { if !holds { faults.append(fault) } }
}
