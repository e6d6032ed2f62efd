// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Foundation
import Testing
import Turns

@testable import mosq

/// The declarations are the argument parser's, and `ArgumentReader` has to read what they say.
@Suite("Arguments read without the parser", .turn(.arguments), .serialized)
struct ReadArgumentTests {
    /// A flag or an option as it is declared.
    private struct Declaration: Decodable {
        struct Name: Decodable {
            let kind: String
            let name: String

            var flag: String { (kind == "long" ? "--" : "-") + name }
        }

        let kind: String
        let names: [Name]?

        /// Returns the words that give the flag.
        ///
        /// - Parameter name: which of its names.
        func words(value: Int, name: Int) -> [String] {
            let names = names ?? []
            // `Invocation` takes these from the words.
            let taken = ["help", "version", "o"]
            guard !names.isEmpty, !names.contains(where: { taken.contains($0.name) }) else { return [] }
            return [names[name % names.count].flag] + (kind == "flag" ? [] : ["\(value)"])
        }
    }

    private struct Dump: Decodable {
        struct Command: Decodable { let arguments: [Declaration] }
        let command: Command
    }

    private static func declarations(_ command: ReferenceCommand) throws -> [Declaration] {
        let dump = command.type._dumpHelp()
        return try JSONDecoder().decode(Dump.self, from: Data(dump.utf8)).command.arguments
    }

    private static func parsed(_ words: [String], _ command: ReferenceCommand) throws -> String {
        String(reflecting: try command.type.parse(words))
    }

    private static func read(_ words: [String], _ command: ReferenceCommand) -> String? {
        ArgumentReader.command([command.rawValue] + words).map { String(reflecting: $0) }
    }

    /// In each of eight rounds, those flags are given whose number has one bit: no two flags are given in the same
    /// rounds. All that once more with the second names.
    @Test(arguments: ReferenceCommand.allCases, [0, 1])
    func `all declared flags are read as the parser reads them`(command: ReferenceCommand, name: Int) throws {
        let declarations = try Self.declarations(command)
        try #require((70..<255).contains(declarations.count))
        for bit in 0..<8 {
            let words = declarations.indices.filter { ($0 + 1) >> bit & 1 == 1 }.flatMap { index in
                declarations[index].words(value: 100 + index, name: name)
            }
            let parsed = try Self.parsed(words, command)
            #expect(Self.read(words, command) == parsed, "\(words)")
        }
    }

    @Test(arguments: ReferenceCommand.allCases)
    func `without flags all have their declared defaults`(command: ReferenceCommand) throws {
        let parsed = try Self.parsed([], command)
        #expect(Self.read([], command) == parsed)
    }

    @Test func `the last value holds, and a list has all`() throws {
        let words = ["-h", "a", "--message", "b", "--host", "-c", "-m", "-d", "-q", "2", "--qos", "1", "-d", "-d"]
        let parsed = try Self.parsed(words, .pub)
        #expect(Self.read(words, .pub) == parsed)
    }

    @Test(arguments: [
        ["--no-such-flag"], ["word"], ["-q"], ["-q", "many"], ["-dr"], ["-h=a"], ["--host=a"], ["--retry=1"],
        ["--help"], ["-v"],
    ])
    func `the rest is left to the parser`(words: [String]) { #expect(Self.read(words, .pub) == nil) }

    /// mosquitto takes any word for a value; the parser does not.
    @Test(arguments: ["--", "---", "---x", "-=x", "--generate-completion-script"])
    func `a value is any word`(value: String) throws {
        let pub = try Pub.read(["-m", value, "-t", "a"])
        #expect(pub.source.message == [value])
        #expect(pub.topic == "a")
    }
}
