// SPDX-License-Identifier: Apache-2.0

import Foundation
import MosquittoTesting
import Promises

#if os(Linux)
/// MQTT.js with the endpoints of a cluster, whose nodes fail in the same way. The peer reads its token when it connects.
struct ClusterPeer: Sendable {
    let cluster: BrokerCluster
    let faults: ClusterFaults
    let rate: Int

    /// Runs the peer, and prints the table that it writes at its end.
    func run(for duration: Duration) async throws {
        let token = cluster.path + "/peer-token"
        let phase = cluster.path + "/peer-phase"
        let output = cluster.path + "/peer-output"
        try write(cluster.token(lifetime: .seconds(24)), to: token)
        try write("none", to: phase)
        let rotating = Task {
            while !Task.isCancelled {
                try? await Task.sleep(for: .seconds(8))
                try write(cluster.token(lifetime: .seconds(24)), to: token)
            }
        }
        defer { rotating.cancel() }
        let ports = cluster.nodes.map { "\($0.port)" }.joined(separator: ",")
        let process = try ChildProcess(
            executable: "/usr/bin/env",
            arguments: [
                // Debian's node-mqtt is there.
                "NODE_PATH=/usr/share/nodejs", "node", script, "--ports", ports, "--cafile", cluster.authorityPath,
                "--username", cluster.username,
                "--token", token, "--phase", phase, "--rate", "\(rate)",
            ], .init(output: output))
        let isSubscribed = await eventually(timeout: .seconds(60)) {
            !process.isRunning || text(of: output).contains("subscribed")
        }
        guard isSubscribed, process.isRunning else { throw SoakFailure("the peer: \(text(of: output))") }
        let begin = ContinuousClock.now
        try await faults.run(on: cluster, until: .now + duration) { fault, node in
            print("\((ContinuousClock.now - begin).components.seconds) s: node \(node) is \(fault)")
            fflush(nil)
            try? write(fault.rawValue, to: phase)
        }
        try write("end", to: phase)
        let exit = await process.exit(deadline: .seconds(150))
        print(text(of: output))
        if exit != .status(0) { throw SoakFailure("the peer ended with \(exit)") }
    }

    private var script: String {
        URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
            .appending(path: "scripts/soak.d/cluster-peer.js").path
    }

    private func text(of path: String) -> String { (try? String(contentsOfFile: path, encoding: .utf8)) ?? "" }

    private func write(_ text: String, to path: String) throws {
        try text.write(toFile: path, atomically: true, encoding: .utf8)
    }
}
#endif
