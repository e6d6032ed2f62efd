import CMosquitto
import CMosquittoShim
import Synchronization

/// An `X509_STORE`: the certificate authorities and revocation lists of one configuration, shared by all clients that have the
/// same. The system's authorities alone take OpenSSL milliseconds to read, and a megabyte to keep.
///
/// `@unchecked Sendable`: it is filled before it is shared, and OpenSSL locks what handshakes do with it.
final class TrustStore: @unchecked Sendable {
    let pointer: OpaquePointer

    private struct Key: Hashable {
        let sources: [TLSConfiguration.Trust.Source]
        let lists: [TLSConfiguration.Revocation.List]
        let stamps: [FileStamp]
    }

    private struct Weak { weak var store: TrustStore? }

    private static let shared = Mutex<[Key: Weak]>([:])

    /// The store for what is given; an earlier one if somebody still uses it.
    static func store(for material: TLSMaterial) throws(MQTTError) -> TrustStore {
        let key = Key(sources: material.trust, lists: material.revocationLists, stamps: material.trustStamps)
        if let known = shared.withLock({ $0[key]?.store }) { return known }
        let store = try TrustStore(material)
        shared.withLock { stores in
            stores = stores.filter { $0.value.store != nil }
            stores[key] = Weak(store: store)
        }
        return store
    }

    private init(_ material: TLSMaterial) throws(MQTTError) {
        guard let pointer = X509_STORE_new() else { throw TLSContext.failure("OpenSSL could not make a trust store") }
        self.pointer = pointer
        for source in material.trust { try add(source) }
        for list in material.revocationLists { try add(list) }
    }

    deinit { X509_STORE_free(pointer) }

    private func add(_ source: TLSConfiguration.Trust.Source) throws(MQTTError) {
        switch source {
        case .system:
            if X509_STORE_set_default_paths(pointer) != 1 {
                throw TLSContext.failure("the system's certificate authorities cannot be loaded")
            }
        case .directory(let path):
            try TLSFile.checkDirectory(path, "certificate authority directory")
            if X509_STORE_load_path(pointer, path) != 1 {
                throw TLSContext.failure("certificate authority directory \(quoted(path)) cannot be used")
            }
        case .file(let path):
            let what = "certificate authority file"
            try addCertificates(TLSFile.read(path, what), "\(what) \(quoted(path))")
        case .bytes(let bytes):
            try addCertificates(bytes, "the certificate authorities in memory")
        }
    }

    private func addCertificates(_ bytes: [UInt8], _ what: String) throws(MQTTError) {
        switch cmq_store_add_certificates(pointer, bytes, bytes.count) {
        case -1: throw TLSContext.failure("\(what): a certificate cannot be read")
        case 0: throw TLSContext.failure("\(what): no certificate in PEM or DER form was found")
        default: break
        }
    }

    private func add(_ list: TLSConfiguration.Revocation.List) throws(MQTTError) {
        let bytes: [UInt8]
        let what: String
        switch list {
        case .file(let path):
            bytes = try TLSFile.read(path, "certificate revocation list")
            what = "certificate revocation list \(quoted(path))"
        case .pem(let text): (bytes, what) = (Array(text.utf8), "the certificate revocation list in memory")
        case .der(let der): (bytes, what) = (der, "the certificate revocation list in memory")
        }
        switch cmq_store_add_crls(pointer, bytes, bytes.count) {
        case -1: throw TLSContext.failure("\(what): a list cannot be read")
        case 0: throw TLSContext.failure("\(what): no list in PEM or DER form was found")
        default: break
        }
    }
}
