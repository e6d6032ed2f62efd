// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Testing
import Turns

@testable import mosq

/// Every spelling that `client_config_line_proc` of mosquitto's `client_shared.c` (2.0.11) compares an argument with.
@Suite("Every spelling of mosquitto's commands", .turn(.arguments))
struct EverySpellingTests {
    /// The commands that take it, a value, and why it is refused, if it is.
    struct Spelling: Sendable, CustomTestStringConvertible {
        let name: String
        let commands: String
        let value: [String]
        let reason: String?

        var testDescription: String { name }

        init(_ name: String, _ value: String..., of commands: String = "pub sub rr", refused reason: String? = nil) {
            self.name = name
            self.commands = commands
            self.value = value
            self.reason = reason
        }

        func isOf(_ command: ReferenceCommand) -> Bool {
            commands.split(separator: " ").contains { $0 == command.rawValue }
        }
    }

    static let all: [Spelling] = [
        Spelling("-A", "127.0.0.1"),
        Spelling("--cafile", "/dev/null"),
        Spelling("--capath", "/dev"),
        Spelling("--cert", "/dev/null", "--key", "/dev/null"),
        Spelling("--ciphers", "HIGH", "-p", "8883"),
        Spelling("-C", "3", of: "sub"),
        Spelling("-c", "-i", "id"),
        Spelling("--disable-clean-session", "-i", "id"),
        Spelling("-d"),
        Spelling("--debug"),
        Spelling("-D", "connect", "receive-maximum", "7"),
        Spelling("--property", "connect", "user-property", "name", "value"),
        Spelling("-e", "other", of: "rr"),
        Spelling("-E", of: "sub"),
        Spelling("-f", "/dev/null", of: "pub rr"),
        Spelling("--file", "/dev/null", of: "pub rr"),
        Spelling("-F", "%p", of: "sub rr"),
        Spelling("--help"),
        Spelling("-h", "host"),
        Spelling("--host", "host"),
        Spelling("--insecure", "-p", "8883"),
        Spelling("-i", "id"),
        Spelling("--id", "id"),
        Spelling("-I", "prefix"),
        Spelling("--id-prefix", "prefix"),
        Spelling("-k", "5"),
        Spelling("--keepalive", "5"),
        Spelling("--key", "/dev/null", "--cert", "/dev/null"),
        Spelling("--keyform", "pem", "--cert", "/dev/null", "--key", "/dev/null"),
        Spelling("-L", "mqtt://host/topic"),
        Spelling("--url", "mqtts://host/topic"),
        Spelling("-l", of: "pub"),
        Spelling("--stdin-line", of: "pub"),
        Spelling("-m", "text", of: "pub rr"),
        Spelling("--message", "text", of: "pub rr"),
        Spelling("-M", "7"),
        Spelling("--nodelay"),
        Spelling("-n", of: "pub rr"),
        Spelling("--null-message", of: "pub rr"),
        Spelling("-N", of: "sub rr"),
        Spelling("-p", "7"),
        Spelling("--port", "7"),
        Spelling("--pretty", of: "sub rr"),
        Spelling("-P", "password", "-u", "name"),
        Spelling("--pw", "password", "-u", "name"),
        Spelling("--proxy", "socks5h://host"),
        Spelling("--psk", "ab12ab12ab12ab12ab12ab12ab12ab12", "--psk-identity", "id"),
        Spelling("--psk-identity", "id", "--psk", "ab12ab12ab12ab12ab12ab12ab12ab12"),
        Spelling("-q", "1"),
        Spelling("--qos", "1"),
        Spelling("--quiet"),
        Spelling("-r", of: "pub"),
        Spelling("--retain", of: "pub"),
        Spelling("-R", of: "sub rr"),
        Spelling("--random-filter", "50", of: "sub"),
        Spelling("--remove-retained", of: "sub"),
        Spelling("--repeat", "2", of: "pub"),
        Spelling("--repeat-delay", "0.5", of: "pub"),
        Spelling("--retain-as-published", of: "sub rr"),
        Spelling("--retained-only", of: "sub"),
        Spelling("-s", of: "pub rr"),
        Spelling("--stdin-file", of: "pub rr"),
        Spelling("-S", refused: "SRV"),
        Spelling("-t", "other"),
        Spelling("--topic", "other"),
        Spelling("-T", "out", of: "sub"),
        Spelling("--filter-out", "out", of: "sub"),
        Spelling("--tls-alpn", "mqtt", "-p", "8883"),
        Spelling("--tls-engine", "engine", "-p", "8883"),
        Spelling("--tls-engine-kpass-sha1", "00", refused: "no passphrase"),
        Spelling("--tls-use-os-certs"),
        Spelling("--tls-version", "tlsv1.3", "-p", "8883"),
        Spelling("-U", "out", of: "sub"),
        Spelling("--unsubscribe", "out", of: "sub"),
        Spelling("-u", "name"),
        Spelling("--username", "name"),
        Spelling("--unix", "/run/socket"),
        Spelling("-V", "5"),
        Spelling("--protocol-version", "311"),
        Spelling("-v", of: "sub rr"),
        Spelling("--verbose", of: "sub rr"),
        Spelling("--version"),
        Spelling("-W", "9", of: "sub rr"),
        Spelling("--will-payload", "text", "--will-topic", "w"),
        Spelling("--will-qos", "1", "--will-topic", "w"),
        Spelling("--will-retain", "--will-topic", "w"),
        Spelling("--will-topic", "w"),
        Spelling("-x", "0"),
    ]

    @Test func `there are 88 of them, and no other`() {
        #expect(Self.all.count == 88)
        #expect(Set(Self.all.map(\.name)) == Set(ReferenceFlag.all.flatMap(\.names)))
        for spelling in Self.all {
            for command in ReferenceCommand.allCases {
                #expect((ReferenceFlag.named(spelling.name, of: command) != nil) == spelling.isOf(command))
            }
        }
    }

    @Test(arguments: all, ReferenceCommand.allCases)
    func `each is honoured, refused with a reason, or unknown to the command`(
        spelling: Spelling, command: ReferenceCommand
    ) throws {
        let arguments = [spelling.name] + spelling.value
        guard spelling.isOf(command) else {
            #expect(complaint(arguments, command) == ["Error: Unknown option '\(spelling.name)'."])
            return
        }
        switch try Invocation(["mosq", command.rawValue] + arguments).arguments(file: { _ in nil }) {
        case .help: #expect(spelling.name == "--help")
        case .version: #expect(spelling.name == "--version")
        case .run(let words):
            if let reason = spelling.reason {
                let lines = complaint(arguments, command)
                #expect(lines.count == 1)
                #expect(lines.first?.contains(reason) == true)
                return
            }
            let with = try parse(words)
            // A flag that leaves no trace would be ignored.
            let without = try parsed(Array(arguments.dropFirst(arguments.count == 1 ? 1 : 2)), command)
            #expect(String(reflecting: with) != without.map { String(reflecting: $0) })
            #expect(throws: Never.self) { try Self.connection(of: with).configuration(.publish) }
        }
    }

    @Test(arguments: all.filter { !$0.value.isEmpty && !$0.value[0].hasPrefix("-") })
    func `one that has a value says so when there is none`(spelling: Spelling) throws {
        let command = try #require(ReferenceCommand.allCases.first { spelling.isOf($0) })
        let lines = complaint([spelling.name], command)
        #expect(lines.count == 1)
        #expect(lines.first?.hasPrefix("Error: -") == true)
        #expect(lines.first?.contains(" argument given but ") == true)
    }

    /// `nil` if they make no sense without the flag that was taken from them.
    private func parsed(_ arguments: [String], _ command: ReferenceCommand) throws -> (any ParsableCommand)? {
        guard
            case .run(let words)? = try? Invocation(["mosq", command.rawValue] + arguments).arguments(file: { _ in nil }
            )
        else { return nil }
        return ArgumentReader.command(words)
    }

    private func complaint(_ arguments: [String], _ command: ReferenceCommand) -> [String] {
        do {
            guard
                case .run(let words) = try Invocation(["mosq", command.rawValue] + arguments).arguments(
                    file: { _ in nil })
            else { return [] }
            _ = try Self.connection(of: try parse(words)).configuration(.publish)
            return []
        } catch let failure as CommandFailure {
            return failure.lines
        } catch {
            return ["\(error)"]
        }
    }

    /// Read as the command does, without the parser: that one takes tenths of a second of debug code.
    private func parse(_ words: [String]) throws -> any ParsableCommand {
        try #require(ArgumentReader.command(words), "\(words)")
    }

    private static func connection(of command: any ParsableCommand) throws -> ConnectionOptions {
        switch command {
        case let pub as Pub: pub.connection
        case let sub as Sub: sub.connection
        case let rr as Rr: rr.connection
        default: throw CommandFailure(message: "It is none of them.")
        }
    }
}
