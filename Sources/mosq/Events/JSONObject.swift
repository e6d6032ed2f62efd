// SPDX-License-Identifier: Apache-2.0

import Mosquitto

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
            case _ where ForeignText.isUnprintable(scalar): result += JSONText.escaped(scalar)
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }
}

/// The escapes of JSON (RFC 8259, section 7) for characters that may stand in a string and steer a terminal.
enum JSONText {
    /// The scalar as one or two UTF-16 code units.
    static func escaped(_ scalar: Unicode.Scalar) -> String {
        String(scalar).utf16.map { unit in
            let digits = String(unit, radix: 16)
            return "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
        }.joined()
    }

    /// Escapes such characters in a JSON text, all of whose own control characters are line breaks and tabs.
    static func printable(_ json: String) -> String {
        func isKept(_ scalar: Unicode.Scalar) -> Bool { scalar.value < 0x7F || !ForeignText.isUnprintable(scalar) }
        if json.unicodeScalars.allSatisfy(isKept) { return json }
        return json.unicodeScalars.reduce(into: "") { $0 += isKept($1) ? String($1) : escaped($1) }
    }
}
