// SPDX-License-Identifier: Apache-2.0

import Foundation
import Mosquitto
import MosquittoTesting
import Testing
import Turns

@testable import MosquittoTokens

@Suite(.turn(.tokens)) struct `The user name of a token` {
    private func token(_ payload: String) -> String {
        let encoded = Data(payload.utf8).base64EncodedString().replacing("+", with: "-").replacing("/", with: "_")
            .replacing("=", with: "")
        return "e30.\(encoded).c2ln"
    }

    @Test func `it is none, fixed, or a claim`() throws {
        let token = token(#"{"sub":"device-1","number":7,"nested":{"a":1}}"#)
        #expect(try MQTTTokenUsername.none.credentials(token).username == nil)
        #expect(try MQTTTokenUsername.fixed("u").credentials(token).username == "u")
        #expect(try MQTTTokenUsername.claim("sub").credentials(token).username == "device-1")
        #expect(try MQTTTokenUsername.claim("number").credentials(token).username == "7")
    }

    @Test(arguments: ["none", "nested"])
    func `a claim that is none is a failure with its name`(claim: String) {
        let error = #expect(throws: MQTTCredentialError.self) {
            try MQTTTokenUsername.claim(claim).credentials(token(#"{"sub":"s3cret","nested":{"a":1}}"#))
        }
        #expect(error?.message.contains(claim) == true)
        #expect(error?.message.contains("s3cret") == false)
    }

    @Test func `an opaque token has no claims`() {
        #expect(throws: MQTTCredentialError.self) { try MQTTTokenUsername.claim("sub").credentials("opaque") }
    }

    @Test(arguments: ["", "a\0b", "a\nb", String(repeating: "x", count: 65_536)])
    func `what cannot be a token is refused here, and not shown`(token: String) {
        let error = #expect(throws: MQTTCredentialError.self) { try MQTTTokenUsername.none.credentials(token) }
        if !token.isEmpty { #expect(error?.message.contains(token) == false) }
    }

    @Test func `a token file gives it too, whenever the file is swapped`() async throws {
        let folder = try TemporaryDirectory()
        // As Kubernetes does it: the token is behind a link to a folder, and the link is swapped.
        for name in ["device-1", "device-2"] {
            try FileManager.default.createDirectory(
                atPath: "\(folder.path)/\(name)", withIntermediateDirectories: false)
            try folder.write(token(#"{"sub":"\#(name)"}"#) + "\n", to: "\(name)/token")
        }
        let data = folder.path + "/data"
        let source = MQTTTokenFileCredentials(path: data + "/token", usernameClaim: "sub")
        for name in ["device-1", "device-2"] {
            try FileManager.default.createSymbolicLink(atPath: data + ".new", withDestinationPath: name)
            #expect(rename(data + ".new", data) == 0)
            let credentials = try await source.credentials(for: attempt)
            #expect(credentials.username == name)
            #expect(credentials.password?.text == token(#"{"sub":"\#(name)"}"#))
        }
    }

    @Test func `a token file without the claim is a failure`() async throws {
        let folder = try TemporaryDirectory()
        let path = try folder.write("s3cret", to: "token")
        let error = await failure(
            of: MQTTTokenFileCredentials(path: path, usernameClaim: "sub"), hiding: ["s3cret"])
        #expect(error?.kind == .transient(retryAfter: nil))
    }
}
