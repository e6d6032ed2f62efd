// SPDX-License-Identifier: Apache-2.0

#if !Configuration
#error(
    "MosquittoConfiguration needs the trait Configuration of swift-mosquitto: name it where you depend on the package")
#endif
