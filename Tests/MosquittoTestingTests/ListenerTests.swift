// SPDX-License-Identifier: Apache-2.0

import MosquittoTesting
import NIOCore
import NIOPosix
import Testing
import Turns

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

@Suite(.turn(.tools)) struct ListenerTests {
    @Test func `The broker listens at the address that it is told`() async throws {
        let elsewhere = try await ScriptedBroker.start(address: "127.0.0.2", port: try freePort())
        // Nothing listens on the same port of 127.0.0.1.
        #expect(throws: RawClientError.self) { try RawClient(port: elsewhere.port) }
        let here = try await ScriptedBroker.start(port: elsewhere.port)
        _ = try RawClient(port: here.port)
        #expect(await here.waitUntil { $0.acceptedConnections == 1 })
        #expect(elsewhere.acceptedConnections == 0)
        await here.stop()
        await elsewhere.stop()
    }

    @Test func `The broker listens on a Unix socket, which it removes when it stops`() async throws {
        let folder = try TemporaryDirectory()
        let path = folder.path + "/broker.sock"
        for _ in 0..<2 {
            let broker = try await ScriptedBroker.start(unixSocket: path, script: [.closeOnAccept])
            #expect(broker.port == 0)
            #expect(FileManager.default.fileExists(atPath: path))
            let client = try await ClientBootstrap(group: .singletonMultiThreadedEventLoopGroup)
                .connect(unixDomainSocketPath: path).get()
            try await client.closeFuture.get()
            #expect(broker.acceptedConnections == 1)
            await broker.stop()
            #expect(!FileManager.default.fileExists(atPath: path))
        }
    }

    @Test func `Each accepted connection has its time`() async throws {
        let broker = try await ScriptedBroker.start()
        let before = ContinuousClock.now
        for number in 1...3 {
            _ = try RawClient(port: broker.port)
            #expect(await broker.waitUntil { $0.acceptedConnections == number })
        }
        let times = broker.acceptTimes
        #expect(times.count == 3)
        #expect(times == times.sorted())
        #expect(times.allSatisfy { $0 >= before && $0 <= .now })
        await broker.stop()
    }
}
