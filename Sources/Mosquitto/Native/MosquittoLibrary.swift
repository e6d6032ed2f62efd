import CMosquitto

/// The C library that this process runs on.
public enum MosquittoLibrary {
    /// Its version, such as "2.0.11" (`mosquitto_lib_version`).
    public static let version: String = {
        var (major, minor, revision) = (Int32(0), Int32(0), Int32(0))
        mosquitto_lib_version(&major, &minor, &revision)
        return "\(major).\(minor).\(revision)"
    }()
}
