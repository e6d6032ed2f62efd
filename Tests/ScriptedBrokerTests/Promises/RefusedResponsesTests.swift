// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import MosquittoTesting
import Testing
import Turns

@Suite("Requests whose response topic the broker refuses after a reconnect", .turn(.scripted), .timeLimit(.minutes(1)))
struct RefusedResponsesTests {
    @Test func `fail with the reason, and the next one subscribes again (delivery 3)`() async throws {
        let broker = try await ScriptedBroker.start(
            script: [.serve, .disconnectOn(.subscribe, count: 99, reasonCode: 0x80)])
        try await withRunningClient(testConfiguration(port: broker.port, tls: nil)) { client, _ in
            let request = Task { try await client.request("x", to: "nobody", timeout: .seconds(40)) }
            #expect(await broker.waitUntil { $0.publishes.contains { $0.topic == "nobody" } })
            await broker.resubscribe([0x87])
            let error = await #expect(throws: MQTTError.self) { try await request.value }
            #expect(error?.code == .operationRefused)
            #expect(error?.reasonCode == .notAuthorized)
            broker.setScript([.serve])
            broker.resetAll()
            #expect(await broker.waitUntil { $0.connects.count == 3 })
            try await client.subscribe(to: "echo") { requests in
                async let response = client.request("again", to: "echo", timeout: .seconds(20))
                if let request = await requests.first(where: { _ in true }) {
                    try await client.respond(to: request, with: "yes")
                }
                let answer = try await response
                #expect(answer.payloadString == "yes")
            }
        }
        await broker.stop()
    }
}
