// SPDX-License-Identifier: Apache-2.0

import Foundation
import MosquittoTesting

/// The report of `mosq doctor --json` on one connection.
struct DoctorRun {
    let status: Int32
    let report: JSON
    let errors: String
    /// The whole output, to search for text that must not appear.
    let output: String

    init(_ arguments: [String]) async throws {
        let result = try await MosqProcess(["doctor", "--json", "--connect-timeout", "10"] + arguments).result()
        status = result.status
        errors = result.errors
        output = result.output
        report = JSON(result.output)?["connections"]?[0] ?? .object([:])
    }

    /// The name of the cause at a step, if there is one.
    func cause(_ step: String) -> String? { report[step]?["diagnosis"]?["cause"]?.string }
    func status(_ step: String) -> String? { report[step]?["status"]?.string }
    /// Returns the whole diagnosis of a step as text.
    func words(_ step: String) -> String { report[step]?["diagnosis"].map { "\($0)" } ?? "" }
}

extension JSON {
    subscript(_ index: Int) -> JSON? {
        if case .array(let values) = self, values.indices.contains(index) { values[index] } else { nil }
    }
}

/// A JWT with these claims that nobody has signed.
func unsignedToken(_ claims: String, signature: String = "c2lnbmF0dXJl") -> String {
    let parts = [#"{"alg":"ES256","kid":"key-7"}"#, claims].map { text in
        Data(text.utf8).base64EncodedString().replacing("=", with: "").replacing("+", with: "-")
            .replacing("/", with: "_")
    }
    return (parts + [signature]).joined(separator: ".")
}
