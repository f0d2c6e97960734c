// What a line can break of RFC 8259 and of the framing rules, in words.

/// Why a line is not an acceptable JSON object.
enum JSONFault: String {
  case notAnObject = "a request must be one JSON object"
  case ends = "the line ends too early"
  case value = "a value was expected"
  case name = "a field name in quotes was expected"
  case colon = "':' was expected after a field name"
  case objectSeparator = "',' or '}' was expected"
  case arraySeparator = "',' or ']' was expected"
  case number = "a number is malformed"
  case control = "a control character in a string must be written as an escape"
  case escape = "an escape is malformed"
  case surrogate = "a surrogate escape lacks its other half"
  case utf8 = "invalid UTF-8"
  case duplicate = "an object has the same key twice"
  case depth = "nesting deeper than 32"
  case trailing = "there is something after the object"
}
