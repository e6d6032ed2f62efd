// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Mosquitto
import ServiceLifecycle
import UnixSignals

#if os(Linux)
import Glibc

/// One member of a consumer group in a process of its own, for ``GroupRun``.
struct GroupMember: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "group-member", abstract: "The program that group kills.", shouldDisplay: false)

    @Option var port: Int
    /// The number of the member.
    @Option var number: Int
    /// The file to which the numbers of the handled messages are appended, eight bytes each.
    @Option var store: String
    /// The file that is created when the broker has granted the subscription.
    @Option var joined: String

    func run() async throws {
        var configuration = MQTTClientConfiguration(host: "127.0.0.1", port: port, tls: nil)
        configuration.session = .persistent(expiry: .seconds(3_600))
        configuration.retry.baseDelay = .milliseconds(100)
        let file = open(store, O_WRONLY | O_CREAT | O_APPEND, 0o600)
        guard file >= 0 else { throw SoakFailure("no store at \(store)") }
        let group = MQTTConsumerGroup(
            configuration, group: "soak", filters: ["jobs"], members: 1,
            options: .init(firstMember: number), logger: .criticalOnly
        ) { [joined] member in
            close(open(joined, O_WRONLY | O_CREAT, 0o600))
            for await message in member.messages {
                guard var value = UInt64(message.payloadString) else { throw SoakFailure("not a number") }
                guard write(file, &value, 8) == 8 else { throw SoakFailure("the store is full") }
            }
        }
        try await ServiceGroup(
            services: [group], gracefulShutdownSignals: [.sigterm], logger: .criticalOnly
        ).run()
    }
}
#endif
