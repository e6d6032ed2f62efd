// SPDX-License-Identifier: Apache-2.0

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// The file with default options that mosquitto's commands read before their arguments: one option a line.
struct OptionsFile {
    /// The words of each line: an option, and its value if it has one.
    let lines: [[String]]

    /// `$XDG_CONFIG_HOME/mosquitto_pub`, or `$HOME/.config/mosquitto_pub`. `nil` if there is none that can be read.
    init?(of command: ReferenceCommand, environment: [String: String] = ProcessInfo.processInfo.environment) throws {
        guard let folder = environment["XDG_CONFIG_HOME"] ?? environment["HOME"].map({ $0 + "/.config" }),
            let data = FileManager.default.contents(atPath: "\(folder)/\(command.name)")
        else { return nil }
        try self.init(content: data)
    }

    /// Reads the file of `-o`, which replaces the default file.
    init(path: String) throws {
        guard let data = FileManager.default.contents(atPath: path) else {
            throw CommandFailure(message: "Unable to open options file '\(path)'.")
        }
        try self.init(content: data)
    }

    init(content: some Collection<UInt8>) throws {
        // mosquitto's commands cut a line after 1,023 bytes and take the rest for another option: the end of a token.
        lines = try content.split(separator: UInt8(ascii: "\n")).compactMap { try Self.words(Array($0)) }
    }

    /// Splits a line into the option, which is its first word, and the value, which is the rest with its spaces.
    /// Returns `nil` for a comment and for an empty line.
    private static func words(_ piece: [UInt8]) throws -> [String]? {
        // A NUL ends a string in C.
        var line = piece.prefix { $0 != 0 }
        if line.first == UInt8(ascii: "#") { return nil }
        while let last = line.last, last == 10 || last == 13 { line.removeLast() }
        let space = UInt8(ascii: " ")
        let start = line.drop { $0 == space }
        let option = start.prefix { $0 != space }
        if option.isEmpty { return nil }
        let value = start.dropFirst(option.count + 1)
        return try ArgumentEncoding.words([option, value].filter { !$0.isEmpty }.map { Array($0) })
    }
}
