// SPDX-License-Identifier: Apache-2.0

import MosquittoTesting
import Testing

@testable import Mosquitto

extension DataPath.UnderLoad {
    @Suite("A byte that was changed on its way is found out", .timeLimit(.minutes(2)))
    struct FlippedByteTests {
        private static let codes: Set<MQTTError.Code> = [
            .tlsProtocol, .tlsAlert, .tlsVerification, .closed, .timeout, .protocolViolation,
        ]

        /// RFC 8446, section 5.1: legacy_record_version is to be ignored. OpenSSL checks its second byte, but not in
        /// the first record.
        private static let meaningless = TCPProxy.Position(record: 0, byte: 2)

        /// A sample of WebSockets: their frames are within the same records.
        @Test(arguments: Wire.encrypted)
        func `each byte of the handshake and of ten records, one by one`(wire: Wire) async throws {
            let experiment = try await FlipExperiment(wire)
            let addresses = experiment.addresses
            var masks = JitterGenerator(seed: 5)
            let flips = addresses.shuffled(using: &masks).prefix(scaled(wire == .wss ? 500 : addresses.count))
                .map { TCPProxy.Flip($0, mask: UInt8.random(in: 1 ... .max, using: &masks)) }
            let next = Counter()
            let loop = MosquittoEventLoop(name: "data-path")
            let workers = 8
            let complaints = try await withThrowingTaskGroup(of: [String].self) { group in
                for worker in 0..<workers {
                    group.addTask {
                        let proxy = try experiment.makeProxy("\(worker)")
                        var complaints: [String] = []
                        while true {
                            let index = await next.next() - 1
                            guard index < flips.count else { return complaints }
                            let flip = flips[index]
                            let outcome = try await experiment.run(proxy, flip, on: loop)
                            if let complaint = Self.complaint(outcome, flip.position, experiment) {
                                complaints.append("\(flip.position) ^ \(flip.mask): \(complaint)")
                            }
                        }
                    }
                }
                return try await group.reduce([]) { $0 + $1 }
            }
            #expect(complaints.isEmpty, "\(flips.count) bytes; \(complaints.joined(separator: "\n"))")
            await experiment.broker.stop()
        }

        /// Returns the fault of an outcome; `nil` if the outcome is correct.
        private static func complaint(
            _ outcome: FlipExperiment.Outcome, _ address: TCPProxy.Position, _ experiment: FlipExperiment
        ) -> String? {
            guard let error = outcome.error else { return "the client did not end" }
            // Deadlines are of one second each where something may be waited for.
            if outcome.time > .seconds(10) { return "it took \(outcome.time)" }
            if !codes.contains(error.code) { return "the code is \(error.code): \(error)" }
            // A signature of this run may be a byte or two shorter than that of the one that was measured.
            if !outcome.hasFlipped || address == meaningless {
                return outcome.delivered == experiment.order && error.code == .closed
                    ? nil : "nothing was changed, but \(error), and delivered was \(outcome.delivered)"
            }
            if error.code == .timeout, !FlipExperiment.lengths.contains(address.byte) {
                return "it was waited for: \(error)"
            }
            if outcome.wasConnected != (address.record >= experiment.suback) {
                return "connected: \(outcome.wasConnected)"
            }
            if outcome.wasConnected {
                let whole = experiment.messages(before: address.record)
                if outcome.delivered != Array(experiment.order.prefix(whole)) {
                    return "delivered was \(outcome.delivered)"
                }
                if error.code != .tlsProtocol,
                    !(FlipExperiment.recordLength.contains(address.byte) && error.code == .closed)
                {
                    return "\(error)"
                }
            } else if !outcome.delivered.isEmpty {
                return "delivered was \(outcome.delivered)"
            }
            return nil
        }

        @Test(arguments: Wire.encrypted) func `the broker is told by an alert`(wire: Wire) async throws {
            let experiment = try await FlipExperiment(wire)
            let address = TCPProxy.Position(record: experiment.firstMessage, byte: 10)
            let proxy = try experiment.makeProxy("alert")
            let outcome = try await experiment.run(proxy, TCPProxy.Flip(address, mask: 0x20))
            #expect(outcome.error?.tls?.alert == .init(received: false, code: 20, name: "bad_record_mac"))
            let last = try #require(proxy[.toBroker].records.last)
            // TLS 1.3 hides the type of a record; two bytes, the type and the tag are 19.
            #expect(wire == .tls12 ? last.type == 21 : last == TCPProxy.TLSRecord(type: 23, length: 5 + 19))
            await experiment.broker.stop()
        }
    }
}
