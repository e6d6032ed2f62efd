// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import MosquittoTesting
import Testing
import Turns

@Suite("Tasks on an event loop", .turn(.scripted), .timeLimit(.minutes(1)))
struct TaskExecutorTests {
    @Test func `run on its thread, and publish, receive and wait as others do`() async throws {
        let broker = try await ScriptedBroker.start()
        let loop = MosquittoEventLoop(name: "tasks")
        try await withMQTTClient(testConfiguration(port: broker.port, tls: nil), eventLoop: loop, logger: quiet) {
            client in
            let seen = try await withTaskExecutorPreference(loop.taskExecutor) {
                #expect(loop.isIsolatingCurrentContext() == true)
                return try await client.subscribe(to: "a") { messages in
                    var seen: [String] = []
                    for number in 0..<100 { try await client.publish("\(number)", to: "a") }
                    for await message in messages.prefix(100) {
                        #expect(loop.isIsolatingCurrentContext() == true)
                        seen.append(message.payloadString)
                    }
                    // Other tasks run in the meantime.
                    try await Task.sleep(for: .milliseconds(1))
                    #expect(loop.isIsolatingCurrentContext() == true)
                    return seen
                }
            }
            #expect(seen == (0..<100).map(String.init))
        }
        await broker.stop()
    }

    @Test func `keep the loop for as long as they run`() async {
        weak var gone: MosquittoEventLoop?
        do {
            let loop = MosquittoEventLoop()
            gone = loop
            let task = Task(executorPreference: loop.taskExecutor) {
                await Task.yield()
                return loop.isIsolatingCurrentContext()
            }
            #expect(await task.value == true)
        }
        #expect(await eventually { gone == nil })
    }
}
