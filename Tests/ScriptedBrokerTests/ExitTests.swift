// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import MosquittoTesting
import Testing

#if os(Linux)
import Glibc

extension LeakTests {
    /// OpenSSL frees its tables in an atexit handler, while the loop's thread continues.
    @Test func `a process that ends in the middle of handshakes ends well`() async {
        for _ in 0..<3 {
            await #expect(processExitsWith: .success) {
                let broker = try await ScriptedBroker.start(tls: TestTLS.identity)
                var clients: [MQTTClient] = []
                for _ in 0..<20 {
                    let client = MQTTClient(testConfiguration(port: broker.port), logger: quiet)
                    try await client.start()
                    clients.append(client)
                }
                let cutter = Task.detached {
                    while true {
                        broker.dropAll()
                        try await Task.sleep(for: .milliseconds(2))
                    }
                }
                try await Task.sleep(for: .milliseconds(Int.random(in: 100...300)))
                withExtendedLifetime((clients, cutter)) { exit(0) }
            }
        }
    }
}
#endif
