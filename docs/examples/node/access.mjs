// How a client of yours reaches the broker, from the lines the operator gave you.
const { env } = process;
const protocol = env.KAFKA_SECURITY_PROTOCOL ?? 'PLAINTEXT';

export const access = {
  clientId: env.KAFKA_USERNAME ?? 'partner',
  bootstrapBrokers: env.KAFKA_BOOTSTRAP.split(','),
  ...(protocol.startsWith('SASL') && {
    sasl: {
      mechanism: env.KAFKA_SASL_MECHANISM ?? 'SCRAM-SHA-512',
      username: env.KAFKA_USERNAME,
      password: env.KAFKA_PASSWORD,
    },
  }),
  ...(protocol.endsWith('SSL') && { tls: {} }),
};
