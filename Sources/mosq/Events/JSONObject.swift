/// A flat or nested JSON object whose members keep their order; members that are `nil` are left out.
struct JSONObject {
    private var members: [String] = []

    mutating func set(_ name: String, _ value: String?) {
        if let value { members.append("\(Self.quoted(name)):\(Self.quoted(value))") }
    }

    mutating func set(_ name: String, _ value: Int?) {
        if let value { members.append("\(Self.quoted(name)):\(value)") }
    }

    mutating func set(_ name: String, _ value: Bool?) {
        if let value { members.append("\(Self.quoted(name)):\(value)") }
    }

    /// Seconds with milliseconds.
    mutating func set(_ name: String, _ value: Duration?) {
        guard let value else { return }
        let milliseconds = Int((value / .milliseconds(1)).rounded())
        members.append("\(Self.quoted(name)):\(Double(milliseconds) / 1_000)")
    }

    mutating func set(_ name: String, _ value: JSONObject?) {
        if let value { members.append("\(Self.quoted(name)):\(value.text)") }
    }

    mutating func set(_ name: String, _ value: [String]) {
        members.append("\(Self.quoted(name)):[\(value.map(Self.quoted).joined(separator: ","))]")
    }

    var text: String { "{\(members.joined(separator: ","))}" }

    /// RFC 8259, section 7.
    private static func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\r": result += "\\r"
            case "\t": result += "\\t"
            case _ where scalar.value < 0x20:
                let digits = String(scalar.value, radix: 16)
                result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }
}
