// SPDX-License-Identifier: Apache-2.0

import MosquittoTesting
import Testing
import Turns

@Suite("mosq and a real mosquitto", .turn(.command), .timeLimit(.minutes(2)))
struct RealMosquittoTests {
    @Test(arguments: ["mqttv311", "mqttv5"])
    func `a retained message of QoS 2 goes over TLS and back`(version: String) async throws {
        let authority = try TestCertificateAuthority()
        let folder = try TemporaryDirectory()
        let cafile = try folder.write(authority.certificatePEM, to: "ca.pem")
        let broker = try await LocalMosquitto.start(
            tls: try authority.serverIdentity(), anonymous: false, users: ["u": "p"])
        let connection = ["-p", "\(broker.port)", "--cafile", cafile, "-u", "u", "-P", "p", "-V", version, "-q", "2"]
        let pub = try await MosqProcess(["pub", "-t", "a/b", "-m", "kept", "-r"] + connection).result()
        #expect(pub.status == 0)
        let sub = try await MosqProcess(["sub", "-t", "a/#", "-v", "-C", "1", "-W", "20"] + connection).result()
        #expect(sub.status == 0)
        #expect(sub.output == "a/b kept\n")
        #expect(pub.errors + sub.errors == "")
    }

    @Test func `a wrong password is refused as mosquitto's commands say it`() async throws {
        let broker = try await LocalMosquitto.start(anonymous: false, users: ["u": "p"])
        let result = try await runMosq("sub", "-p", "\(broker.port)", "-u", "u", "-P", "x", "-t", "a")
        #expect(result.status == 5)
        #expect(result.errors == "Connection error: Connection Refused: not authorised.\n")
    }
}
