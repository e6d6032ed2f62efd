// SPDX-License-Identifier: Apache-2.0

import CMosquitto
import CMosquittoShim
import Synchronization

/// An `X509_STORE`: the certificate authorities and revocation lists of a configuration, shared by all clients with
/// equal ones. The system's authorities alone take milliseconds to read, and a megabyte of memory.
///
/// `@unchecked Sendable`: the store is filled before it is shared, and OpenSSL locks its use by handshakes.
final class TrustStore: @unchecked Sendable {
    let pointer: OpaquePointer

    private struct Key: Hashable {
        let sources: [MQTTTLSConfiguration.Trust.Source]
        let lists: [MQTTTLSConfiguration.Revocation.List]
        let stamps: [FileStamp]
    }

    private struct Weak { weak var store: TrustStore? }

    private static let shared = Mutex<[Key: Weak]>([:])

    /// Returns the store for the material; an existing one if it is still in use.
    static func store(for material: TLSMaterial) async throws(MQTTError) -> TrustStore {
        let key = Key(sources: material.trust, lists: material.revocationLists, stamps: material.trustStamps)
        if let known = shared.withLock({ $0[key]?.store }) { return known }
        let store = try TrustStore(try await parts(of: material))
        shared.withLock { stores in
            stores = stores.filter { $0.value.store != nil }
            stores[key] = Weak(store: store)
        }
        return store
    }

    // MARK: Reading

    /// The content of a store, after its files were read. `name`: for errors.
    private enum Part: Sendable {
        case system
        case directory(String)
        case certificates(MQTTSecret, name: String)
        case lists(MQTTSecret, name: String)
    }

    private static func parts(of material: TLSMaterial) async throws(MQTTError) -> [Part] {
        var parts: [Part] = []
        for source in material.trust { parts.append(try await part(of: source)) }
        for list in material.revocationLists { parts.append(try await part(of: list)) }
        return parts
    }

    private static func part(of source: MQTTTLSConfiguration.Trust.Source) async throws(MQTTError) -> Part {
        switch source {
        case .system:
            try await TLSFile.checkSystemTrust()
            return .system
        case .directory(let path):
            try await TLSFile.checkDirectory(path, "certificate authority directory")
            return .directory(path)
        case .file(let path):
            let what = "certificate authority file"
            return .certificates(try await TLSFile.read(path, what), name: "\(what) \(quoted(path))")
        case .bytes(let bytes):
            return .certificates(MQTTSecret(bytes: bytes), name: "the certificate authorities in memory")
        }
    }

    private static func part(of list: MQTTTLSConfiguration.Revocation.List) async throws(MQTTError) -> Part {
        let inMemory = "the certificate revocation list in memory"
        switch list {
        case .file(let path):
            let what = "certificate revocation list"
            return .lists(try await TLSFile.read(path, what), name: "\(what) \(quoted(path))")
        case .pem(let text): return .lists(MQTTSecret(text), name: inMemory)
        case .der(let der): return .lists(MQTTSecret(bytes: der), name: inMemory)
        }
    }

    // MARK: Filling

    private init(_ parts: [Part]) throws(MQTTError) {
        // OpenSSL leaves the errors of failed trials in the thread's queue, which the next user of the thread would
        // find.
        defer { ERR_clear_error() }
        guard let pointer = X509_STORE_new() else { throw TLSContext.failure("OpenSSL could not make a trust store") }
        self.pointer = pointer
        for part in parts { try add(part) }
    }

    deinit { X509_STORE_free(pointer) }

    private func add(_ part: Part) throws(MQTTError) {
        switch part {
        case .system:
            if X509_STORE_set_default_paths(pointer) != 1 {
                throw TLSContext.failure("the system's certificate authorities cannot be loaded")
            }
        case .directory(let path):
            if X509_STORE_load_path(pointer, path) != 1 {
                throw TLSContext.failure("certificate authority directory \(quoted(path)) cannot be used")
            }
        case .certificates(let content, let name):
            switch content.withBytes({ cmq_store_add_certificates(pointer, $0.baseAddress, $0.count) }) {
            case -1: throw TLSContext.failure("\(name): a certificate cannot be read")
            case 0: throw TLSContext.failure("\(name): no certificate in PEM or DER form was found")
            default: break
            }
        case .lists(let content, let name):
            switch content.withBytes({ cmq_store_add_crls(pointer, $0.baseAddress, $0.count) }) {
            case -1: throw TLSContext.failure("\(name): a list cannot be read")
            case 0: throw TLSContext.failure("\(name): no list in PEM or DER form was found")
            default: break
            }
        }
    }
}
