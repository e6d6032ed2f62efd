// SPDX-License-Identifier: Apache-2.0

import MosquittoTesting
import Testing

@testable import Mosquitto

#if os(Linux)
extension DataPath.UnderLoad {
    /// In processes of their own, where nothing else takes memory. Each blocks a thread of the pool here.
    @Suite("What is held back takes no memory", .timeLimit(.minutes(1)))
    struct BackPressureMemoryTests {
        @Test func `of 64 MB for a broker that does not read, less than 20 MB are resident`() async {
            await #expect(processExitsWith: .success) {
                try await OutboundPressure.run(.tls13) { pressure in
                    let before = try ProcessResources.now().residentKB
                    pressure.proxy.set(.toBroker, .shut)
                    _ = try await pressure.publish(from: 0, to: 4_096)
                    let growth = try ProcessResources.now().residentKB - before
                    if growth > 20 << 10, !ProcessResources.isSanitized { fatalError("it grew by \(growth) KB") }
                    // So that the client can end.
                    pressure.proxy.set(.toBroker, .open)
                }
            }
        }

        @Test func `of 64 MB for a consumer that does not read, less than 10 MB are resident`() async {
            await #expect(processExitsWith: .success) {
                try await InboundPressure.run(.tls13) { pressure in
                    let before = try ProcessResources.now().residentKB
                    _ = try await pressure.taken()
                    let growth = try ProcessResources.now().residentKB - before
                    if growth > 10 << 10, !ProcessResources.isSanitized { fatalError("it grew by \(growth) KB") }
                }
            }
        }
    }
}
#endif
