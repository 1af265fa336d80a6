//! Keys of security.

use crate::config::key::config_keys;

config_keys! {
    /// Who may do what, and how that is known (Kafka 4.4 `BrokerSecurityConfigs`, `SslConfigs`,
    /// `SaslConfigs`, `DelegationTokenManagerConfigs`).
    SECURITY, SecuritySettings;
    /// The class that decides who may do what.
    "authorizer.class.name": String = "", NonNull, Low, ReadOnly
        refused ["org.apache.kafka.metadata.authorizer.StandardAuthorizer"]
        "Java classes cannot be loaded, and everyone could do what they were to forbid."
        => authorizer_class_name: String;
    /// The class that says who the client of a connection is.
    "principal.builder.class": Class =
        "org.apache.kafka.common.security.authenticator.DefaultKafkaPrincipalBuilder",
        Any, Medium, PerBroker
        refused "Clients would have other names than intended, and so other rights.";
    /// The classes that provide security algorithms.
    "security.providers": String = null, Any, Low, ReadOnly
        refused "Java classes cannot be loaded.";
    /// How long a SASL session may last before its client must authenticate again; 0 is for ever.
    "connections.max.reauth.ms": Long = "0", Any, Medium, ReadOnly
        accepted "Concerns SASL, and listeners with SASL stop the start.";
    /// The secret that delegation tokens are signed with; without it there are none.
    "delegation.token.secret.key": Password = null, Any, Medium, ReadOnly
        accepted "Tokens are given only to clients that came through SASL, and listeners with SASL \
         stop the start.";
    /// How long a delegation token can be renewed.
    "delegation.token.max.lifetime.ms": Long = "604800000", AtLeast(1), Medium, ReadOnly
        accepted "See `delegation.token.secret.key`.";
    /// How long a delegation token lasts without being renewed.
    "delegation.token.expiry.time.ms": Long = "86400000", AtLeast(1), Medium, ReadOnly
        accepted "See `delegation.token.secret.key`.";
    /// Interval between scans for expired tokens.
    "delegation.token.expiry.check.interval.ms": Long = "3600000", AtLeast(1), Low, ReadOnly
        accepted "See `delegation.token.secret.key`.";
    /// The SASL mechanisms that clients may use.
    "sasl.enabled.mechanisms": List = "GSSAPI", Names, Medium, PerBroker
        accepted "Concerns SASL, and listeners with SASL stop the start.";
    /// The SASL mechanism between brokers.
    "sasl.mechanism.inter.broker.protocol": String = "GSSAPI", Any, Medium, PerBroker
        accepted "Concerns SASL, and listeners with SASL stop the start.";
    /// The login configuration, in the format of JAAS.
    "sasl.jaas.config": Password = null, Any, Medium, PerBroker
        accepted "Concerns SASL, and listeners with SASL stop the start.";
    /// The class that answers a SASL server's questions.
    "sasl.server.callback.handler.class": Class = null, Any, Medium, ReadOnly
        accepted "Concerns SASL, and listeners with SASL stop the start.";
    /// The class that answers a SASL client's questions.
    "sasl.client.callback.handler.class": Class = null, Any, Medium, ReadOnly
        accepted "Concerns SASL, and listeners with SASL stop the start.";
    /// The class that answers a login's questions.
    "sasl.login.callback.handler.class": Class = null, Any, Medium, ReadOnly
        accepted "Concerns SASL, and listeners with SASL stop the start.";
    /// The class that logs in.
    "sasl.login.class": Class = null, Any, Medium, ReadOnly
        accepted "Concerns SASL, and listeners with SASL stop the start.";
    /// How long a connection to an OAuth provider may take to be set up.
    "sasl.login.connect.timeout.ms": Int = null, Any, Low, ReadOnly
        accepted "Concerns SASL, and listeners with SASL stop the start.";
    /// How long an OAuth provider's answer may take.
    "sasl.login.read.timeout.ms": Int = null, Any, Low, ReadOnly
        accepted "Concerns SASL, and listeners with SASL stop the start.";
    /// How long before a credential expires it is renewed at the latest.
    "sasl.login.refresh.buffer.seconds": Short = "300", Any, Medium, PerBroker
        accepted "Concerns SASL, and listeners with SASL stop the start.";
    /// The shortest time before a credential is renewed.
    "sasl.login.refresh.min.period.seconds": Short = "60", Any, Medium, PerBroker
        accepted "Concerns SASL, and listeners with SASL stop the start.";
    /// At which part of a credential's life it is renewed.
    "sasl.login.refresh.window.factor": Double = "0.8", Any, Medium, PerBroker
        accepted "Concerns SASL, and listeners with SASL stop the start.";
    /// How much that moment varies.
    "sasl.login.refresh.window.jitter": Double = "0.05", Any, Medium, PerBroker
        accepted "Concerns SASL, and listeners with SASL stop the start.";
    /// The first pause after a failed login with an OAuth provider.
    "sasl.login.retry.backoff.ms": Long = "100", Any, Low, ReadOnly
        accepted "Concerns SASL, and listeners with SASL stop the start.";
    /// The longest such pause.
    "sasl.login.retry.backoff.max.ms": Long = "10000", Any, Low, ReadOnly
        accepted "Concerns SASL, and listeners with SASL stop the start.";
    /// The largest message that is read before a client has authenticated.
    "sasl.server.max.receive.size": Int = "524288", Any, Medium, ReadOnly
        accepted "Concerns SASL, and listeners with SASL stop the start.";
    /// The name that Kafka has in Kerberos.
    "sasl.kerberos.service.name": String = null, Any, Medium, PerBroker
        accepted "Concerns SASL, and listeners with SASL stop the start.";
    /// The path of kinit.
    "sasl.kerberos.kinit.cmd": String = "/usr/bin/kinit", Any, Medium, PerBroker
        accepted "Concerns SASL, and listeners with SASL stop the start.";
    /// At which part of a ticket's life it is renewed.
    "sasl.kerberos.ticket.renew.window.factor": Double = "0.8", Any, Medium, PerBroker
        accepted "Concerns SASL, and listeners with SASL stop the start.";
    /// How much that moment varies.
    "sasl.kerberos.ticket.renew.jitter": Double = "0.05", Any, Medium, PerBroker
        accepted "Concerns SASL, and listeners with SASL stop the start.";
    /// The shortest time between two logins, in milliseconds.
    "sasl.kerberos.min.time.before.relogin": Long = "60000", Any, Medium, PerBroker
        accepted "Concerns SASL, and listeners with SASL stop the start.";
    /// The rules that make a name of a Kerberos principal.
    "sasl.kerberos.principal.to.local.rules": List = "DEFAULT", Names, Medium, PerBroker
        accepted "Concerns SASL, and listeners with SASL stop the start.";
    /// Whether a token may leave its audience open.
    "sasl.oauthbearer.allow.unverified.audience": Boolean = "false", Any, Medium, ReadOnly
        accepted "Concerns SASL, and listeners with SASL stop the start.";
    /// Whether a token may leave its issuer open.
    "sasl.oauthbearer.allow.unverified.issuer": Boolean = "false", Any, Medium, ReadOnly
        accepted "Concerns SASL, and listeners with SASL stop the start.";
    /// The algorithm that an assertion is signed with.
    "sasl.oauthbearer.assertion.algorithm": String = "RS256", OneOfAnyCase(&["ES256", "RS256"]),
        Medium, ReadOnly accepted "Concerns SASL, and listeners with SASL stop the start.";
    /// The audience of an assertion.
    "sasl.oauthbearer.assertion.claim.aud": String = null, Any, Medium, ReadOnly
        accepted "Concerns SASL, and listeners with SASL stop the start.";
    /// How long an assertion is valid.
    "sasl.oauthbearer.assertion.claim.exp.seconds": Int = "300", Between(0, 86_400), Low, ReadOnly
        accepted "Concerns SASL, and listeners with SASL stop the start.";
    /// The issuer of an assertion.
    "sasl.oauthbearer.assertion.claim.iss": String = null, Any, Medium, ReadOnly
        accepted "Concerns SASL, and listeners with SASL stop the start.";
    /// Whether an assertion has an id of its own.
    "sasl.oauthbearer.assertion.claim.jti.include": Boolean = "false", Any, Medium, ReadOnly
        accepted "Concerns SASL, and listeners with SASL stop the start.";
    /// How long before it is made an assertion is already valid.
    "sasl.oauthbearer.assertion.claim.nbf.seconds": Int = "60", Between(0, 3_600), Low, ReadOnly
        accepted "Concerns SASL, and listeners with SASL stop the start.";
    /// The subject of an assertion.
    "sasl.oauthbearer.assertion.claim.sub": String = null, Any, Medium, ReadOnly
        accepted "Concerns SASL, and listeners with SASL stop the start.";
    /// A file that holds a finished assertion.
    "sasl.oauthbearer.assertion.file": String = null, Any, Medium, ReadOnly
        accepted "Concerns SASL, and listeners with SASL stop the start.";
    /// A file that holds the key that assertions are signed with.
    "sasl.oauthbearer.assertion.private.key.file": String = null, Any, Medium, ReadOnly
        accepted "Concerns SASL, and listeners with SASL stop the start.";
    /// The passphrase of that key.
    "sasl.oauthbearer.assertion.private.key.passphrase": Password = null, Any, Medium, ReadOnly
        accepted "Concerns SASL, and listeners with SASL stop the start.";
    /// A file that holds further headers and claims of an assertion.
    "sasl.oauthbearer.assertion.template.file": String = null, Any, Medium, ReadOnly
        accepted "Concerns SASL, and listeners with SASL stop the start.";
    /// The client id at an OAuth provider.
    "sasl.oauthbearer.client.credentials.client.id": String = null, Any, Medium, ReadOnly
        accepted "Concerns SASL, and listeners with SASL stop the start.";
    /// The client secret at an OAuth provider.
    "sasl.oauthbearer.client.credentials.client.secret": Password = null, Any, Medium, ReadOnly
        accepted "Concerns SASL, and listeners with SASL stop the start.";
    /// How far the clocks of an OAuth provider and this broker may differ.
    "sasl.oauthbearer.clock.skew.seconds": Int = "30", Any, Low, ReadOnly
        accepted "Concerns SASL, and listeners with SASL stop the start.";
    /// The audiences of which a token must name one.
    "sasl.oauthbearer.expected.audience": List = "", Names, High, ReadOnly
        accepted "Concerns SASL, and listeners with SASL stop the start.";
    /// The issuer that a token must have.
    "sasl.oauthbearer.expected.issuer": String = null, Any, High, ReadOnly
        accepted "Concerns SASL, and listeners with SASL stop the start.";
    /// Where an OAuth provider has its public keys.
    "sasl.oauthbearer.jwks.endpoint.url": String = null, Any, Medium, ReadOnly
        accepted "Concerns SASL, and listeners with SASL stop the start.";
    /// How often those keys are fetched again.
    "sasl.oauthbearer.jwks.endpoint.refresh.ms": Long = "3600000", Any, Low, ReadOnly
        accepted "Concerns SASL, and listeners with SASL stop the start.";
    /// The first pause after a failure to fetch them.
    "sasl.oauthbearer.jwks.endpoint.retry.backoff.ms": Long = "100", Any, Low, ReadOnly
        accepted "Concerns SASL, and listeners with SASL stop the start.";
    /// The longest such pause.
    "sasl.oauthbearer.jwks.endpoint.retry.backoff.max.ms": Long = "10000", Any, Low, ReadOnly
        accepted "Concerns SASL, and listeners with SASL stop the start.";
    /// The class that gets tokens.
    "sasl.oauthbearer.jwt.retriever.class": Class =
        "org.apache.kafka.common.security.oauthbearer.DefaultJwtRetriever", Any, Medium, ReadOnly
        accepted "Concerns SASL, and listeners with SASL stop the start.";
    /// The class that checks tokens.
    "sasl.oauthbearer.jwt.validator.class": Class =
        "org.apache.kafka.common.security.oauthbearer.DefaultJwtValidator", Any, Medium, ReadOnly
        accepted "Concerns SASL, and listeners with SASL stop the start.";
    /// The scope that is asked for.
    "sasl.oauthbearer.scope": String = null, Any, Medium, ReadOnly
        accepted "Concerns SASL, and listeners with SASL stop the start.";
    /// The claim that holds a token's scope.
    "sasl.oauthbearer.scope.claim.name": String = "scope", Any, Low, ReadOnly
        accepted "Concerns SASL, and listeners with SASL stop the start.";
    /// The claim that holds a token's subject.
    "sasl.oauthbearer.sub.claim.name": String = "sub", Any, Low, ReadOnly
        accepted "Concerns SASL, and listeners with SASL stop the start.";
    /// The token endpoint of the OAuth provider.
    "sasl.oauthbearer.token.endpoint.url": String = null, Any, Medium, ReadOnly
        accepted "Concerns SASL, and listeners with SASL stop the start.";
    /// Whether a new certificate may have another distinguished name.
    "ssl.allow.dn.changes": Boolean = "false", Any, Low, ReadOnly
        accepted "Concerns TLS, and listeners with TLS stop the start.";
    /// Whether a new certificate may lack alternative names.
    "ssl.allow.san.changes": Boolean = "false", Any, Low, ReadOnly
        accepted "Concerns TLS, and listeners with TLS stop the start.";
    /// The cipher suites that are offered; none named, all that the engine has.
    "ssl.cipher.suites": List = "", Names, Medium, PerBroker
        accepted "Concerns TLS, and listeners with TLS stop the start.";
    /// Whether clients must show a certificate.
    "ssl.client.auth": String = "none", OneOf(&["required", "requested", "none"]), Medium, PerBroker
        accepted "Concerns TLS, and listeners with TLS stop the start.";
    /// The versions of TLS that are offered.
    "ssl.enabled.protocols": List = "TLSv1.2,TLSv1.3", Names, Medium, PerBroker
        accepted "Concerns TLS, and listeners with TLS stop the start.";
    /// The version of TLS that is preferred.
    "ssl.protocol": String = "TLSv1.3", Any, Medium, PerBroker
        accepted "Concerns TLS, and listeners with TLS stop the start.";
    /// The Java provider of TLS.
    "ssl.provider": String = null, Any, Medium, PerBroker
        accepted "Concerns TLS, and listeners with TLS stop the start.";
    /// How the name of a server is checked against its certificate.
    "ssl.endpoint.identification.algorithm": String = "https", Any, Low, PerBroker
        accepted "Concerns TLS, and listeners with TLS stop the start.";
    /// The class that makes TLS engines.
    "ssl.engine.factory.class": Class = null, Any, Low, PerBroker
        accepted "Concerns TLS, and listeners with TLS stop the start.";
    /// The password of the private key.
    "ssl.key.password": Password = null, Any, Medium, PerBroker
        accepted "Concerns TLS, and listeners with TLS stop the start.";
    /// The Java algorithm of the key manager.
    "ssl.keymanager.algorithm": String = "SunX509", Any, Medium, PerBroker
        accepted "Concerns TLS, and listeners with TLS stop the start.";
    /// The certificate chain, as PEM.
    "ssl.keystore.certificate.chain": Password = null, Any, Medium, PerBroker
        accepted "Concerns TLS, and listeners with TLS stop the start.";
    /// The private key, as PEM.
    "ssl.keystore.key": Password = null, Any, Medium, PerBroker
        accepted "Concerns TLS, and listeners with TLS stop the start.";
    /// The file of the private key and its certificates.
    "ssl.keystore.location": String = null, Any, Medium, PerBroker
        accepted "Concerns TLS, and listeners with TLS stop the start.";
    /// The password of that file.
    "ssl.keystore.password": Password = null, Any, Medium, PerBroker
        accepted "Concerns TLS, and listeners with TLS stop the start.";
    /// The format of that file.
    "ssl.keystore.type": String = "JKS", Any, Medium, PerBroker
        accepted "Concerns TLS, and listeners with TLS stop the start.";
    /// The rules that make a name of a certificate's distinguished name.
    "ssl.principal.mapping.rules": String = "DEFAULT", Any, Low, ReadOnly
        accepted "Concerns TLS, and listeners with TLS stop the start.";
    /// The Java source of randomness.
    "ssl.secure.random.implementation": String = null, Any, Low, PerBroker
        accepted "Concerns TLS, and listeners with TLS stop the start.";
    /// The Java algorithm of the trust manager.
    "ssl.trustmanager.algorithm": String = "PKIX", Any, Medium, PerBroker
        accepted "Concerns TLS, and listeners with TLS stop the start.";
    /// The certificates to trust, as PEM.
    "ssl.truststore.certificates": Password = null, Any, Medium, PerBroker
        accepted "Concerns TLS, and listeners with TLS stop the start.";
    /// The file of the certificates to trust.
    "ssl.truststore.location": String = null, Any, Medium, PerBroker
        accepted "Concerns TLS, and listeners with TLS stop the start.";
    /// The password of that file.
    "ssl.truststore.password": Password = null, Any, Medium, PerBroker
        accepted "Concerns TLS, and listeners with TLS stop the start.";
    /// The format of that file.
    "ssl.truststore.type": String = "JKS", Any, Medium, PerBroker
        accepted "Concerns TLS, and listeners with TLS stop the start.";
}
