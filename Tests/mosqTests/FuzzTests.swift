// SPDX-License-Identifier: Apache-2.0

import Foundation
import Mosquitto
import MosquittoTesting
import Testing
import Turns

@testable import mosq

/// `scripts/soak fuzz` runs more of them.
@Suite("Arguments with random faults (fuzz)", .turn(.command), .timeLimit(.minutes(10)))
struct FuzzTests {
    private static var inputs: UInt64 {
        ProcessInfo.processInfo.environment["MOSQUITTO_FUZZ_INPUTS"].flatMap { UInt64($0) } ?? 4_000
    }

    private static var firstSeed: UInt64 {
        ProcessInfo.processInfo.environment["MOSQUITTO_FUZZ_SEED"].flatMap { UInt64($0) } ?? 1
    }

    private func read(_ corpus: String, _ body: ([UInt8]) throws -> Void) throws {
        let path = URL(filePath: #filePath).appending(path: "../../Corpus/\(corpus).txt").standardized.path
        let inputs = try RandomInputs(corpus: path)
        let faulty = (0..<Self.inputs).lazy.map { inputs.faulty(seed: Self.firstSeed + $0) }
        for bytes in inputs.corpus { try body(bytes) }
        for bytes in faulty { try body(bytes) }
    }

    /// Calls a parser, whose only errors are those of the command and of the library.
    private func parse(_ bytes: [UInt8], _ body: () throws -> Void) {
        do {
            try body()
        } catch is CommandFailure {
            return
        } catch is MQTTError {
            return
        } catch {
            Issue.record("\(error) for \(bytes)")
        }
    }

    @Test func `a URL, of a broker or of a proxy, is read or refused`() throws {
        try read("url") { bytes in
            let text = String(decoding: bytes, as: UTF8.self)
            parse(bytes) { _ = try BrokerURL(text) }
            parse(bytes) { _ = try BrokerURL(text, decodes: true) }
            parse(bytes) { _ = try ProxyURL(text) }
            parse(bytes) { _ = try ShellWords.split(text) }
        }
    }

    @Test func `an options file is read or refused`() throws {
        let invocations = [["mosq", "pub", "-t", "t", "-m", "x"], ["mosquitto_sub"], ["mosq", "rr", "-t", "t"]]
        try read("options") { bytes in
            parse(bytes) {
                let file = try OptionsFile(content: bytes)
                for arguments in invocations { _ = try Invocation(arguments).arguments(file: { _ in file }) }
            }
        }
    }

    @Test func `a format of messages is read or refused`() throws {
        try read("format") { bytes in
            parse(bytes) { _ = try MessageFormat(String(decoding: bytes, as: UTF8.self)) }
        }
    }
}
