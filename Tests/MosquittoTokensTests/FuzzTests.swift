// SPDX-License-Identifier: Apache-2.0

import Foundation
import Mosquitto
import MosquittoTesting
import Testing
import Turns

@testable import MosquittoTokens

/// `scripts/soak fuzz` runs more of them.
@Suite("Answers of an issuer with random faults (fuzz)", .turn(.tokens), .timeLimit(.minutes(10)))
struct FuzzTests {
    private static var inputs: UInt64 {
        ProcessInfo.processInfo.environment["MOSQUITTO_FUZZ_INPUTS"].flatMap { UInt64($0) } ?? 4_000
    }

    private static var firstSeed: UInt64 {
        ProcessInfo.processInfo.environment["MOSQUITTO_FUZZ_SEED"].flatMap { UInt64($0) } ?? 1
    }

    private static let secret = "hunter2secret"

    @Test func `are tokens or errors, without the secret and without control characters`() throws {
        let path = URL(filePath: #filePath).appending(path: "../../Corpus/answer.txt").standardized.path
        let inputs = try RandomInputs(corpus: path)
        let faulty = (0..<Self.inputs).lazy.map { inputs.faulty(seed: Self.firstSeed + $0) }
        for bytes in inputs.corpus { read(bytes) }
        for bytes in faulty { read(bytes) }
    }

    private func read(_ bytes: [UInt8]) {
        // An issuer that quotes the secret.
        let echo = Array(Self.secret.utf8)
        for body in [bytes, Array(bytes.prefix(12)) + echo + bytes.dropFirst(12)] {
            let text = String(decoding: body, as: UTF8.self)
            for status in [200, 302, 400, 503] {
                let answer = OAuth2Answer(status: status, retryAfter: text, body: Data(body))
                do throws(MQTTCredentialError) {
                    let token = try answer.token(without: [Self.secret])
                    #expect(token.expiresIn.map { $0 > 0 && $0.isFinite } ?? true)
                } catch {
                    let isClean = !error.message.contains(Self.secret) && error.message.allSatisfy { $0 != "\u{1B}" }
                    #expect(isClean, "\(body)")
                }
            }
            let jwt =
                "e30." + Data(body).base64EncodedString().replacing("+", with: "-").replacing("/", with: "_") + "."
            for token in [text, jwt.replacing("=", with: "")] {
                do throws(MQTTCredentialError) {
                    _ = try MQTTTokenUsername.claim("sub").credentials(token)
                } catch {
                    #expect(!error.message.contains(token) || token.count < 20)
                }
            }
        }
    }
}
