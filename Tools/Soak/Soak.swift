// SPDX-License-Identifier: Apache-2.0

import ArgumentParser

/// Long measurements by hand: `scripts/soak` builds and runs them.
@main
struct Soak: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Measurements that are too long for the tests.", subcommands: subcommands)

    private static var subcommands: [any ParsableCommand.Type] {
        #if os(Linux)
        [
            Clients.self, Cluster.self, ConnectRate.self, Connects.self, Flood.self, Group.self, GroupMember.self,
            Handshakes.self,
            IngestService.self,
            PromisesSoak.self, Remnants.self,
            Restarts.self, RotationGaps.self, Stall.self, Stopped.self,
        ]
        #else
        [RotationGaps.self]
        #endif
    }
}
