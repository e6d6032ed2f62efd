import CMosquitto

/// The C library that this process runs on.
public enum MosquittoLibrary {
    /// Its version, such as "2.0.11" (`mosquitto_lib_version`).
    public static let version: String = {
        var (major, minor, revision) = (Int32(0), Int32(0), Int32(0))
        mosquitto_lib_version(&major, &minor, &revision)
        return "\(major).\(minor).\(revision)"
    }()

    /// Initialises it and OpenSSL once in a process, before anything else of theirs.
    static let initialize: Void = {
        // By default OpenSSL frees its tables in a handler of exit(3). The loop's thread goes on until the process is
        // gone and would find them freed: a process that ends while it connects would crash. Who has used OpenSSL
        // before has decided it already.
        _ = OPENSSL_init_crypto(UInt64(OPENSSL_INIT_NO_ATEXIT), nil)
        // Not thread-safe. Never undone: mosquitto_lib_cleanup would unload OpenSSL's configuration for the whole
        // process.
        _ = mosquitto_lib_init()
    }()
}
