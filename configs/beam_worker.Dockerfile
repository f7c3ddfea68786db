# The container of workers of Apache Beam on Dataflow, Flink and Spark. From the root of
# a checkout of tfeval:
#
#   docker build -f configs/beam_worker.Dockerfile -t IMAGE .
#   docker push IMAGE
#
# Plans name the digest of the code that made them, and workers refuse another one: give
# the command from the same checkout, installed by pip install '.[beam]', with the same
# minor version of Python and the same Beam as here. Options of the command:
#
#   tfeval evaluate --model=... --runner=beam --output_dir=gs://BUCKET/study \
#       --data_dir=gs://BUCKET/tfds --beam_args='OPTIONS'
#
# Dataflow. It needs pip install 'apache-beam[gcp]' where the command is given, too:
#
#   --runner=DataflowRunner --project=PROJECT --region=REGION
#   --temp_location=gs://BUCKET/tmp --sdk_container_image=IMAGE --sdk_location=container
#   --max_num_workers=100 --machine_type=n2-standard-8
#   --experiments=no_use_multiple_sdk_containers --number_of_worker_harness_threads=1
#
# The last two: a machine has one process, whose TensorFlow has all cores, instead of a
# process with a model of its own for each core. For machines with a GPU, besides an
# image with CUDA (see below):
#
#   --machine_type=g2-standard-8 --disk_size_gb=100
#   --dataflow_service_options=worker_accelerator=type:nvidia-l4;count:1;install-nvidia-driver
#
# Flink, with Docker on its machines (environment_type DOCKER), whose output_dir is a URL:
#
#   --runner=FlinkRunner --flink_master=HOST:8081 --parallelism=32
#   --environment_type=DOCKER --environment_config=IMAGE
#
# and without Docker there: this image beside each TaskManager as a pool of workers, with
# the argument --worker_pool, which can also see a shared disk:
#
#   --environment_type=EXTERNAL --environment_config=localhost:50000
#
# Spark, by a job server that runs beside its master
# (docker run --net=host apache/beam_spark3_job_server:2.77.0 \
#     --spark-master-url=spark://HOST:7077):
#
#   --runner=PortableRunner --job_endpoint=localhost:8099
#   --environment_type=DOCKER --environment_config=IMAGE
#
# Both start a JVM where no job server runs, and need Java for it. Where a machine has a
# single process of workers is their default (--sdk_worker_parallelism=1).

ARG PYTHON=3.12
ARG BEAM=2.77.0
FROM apache/beam_python${PYTHON}_sdk:${BEAM}
ARG BEAM

WORKDIR /tfeval
COPY setup.cfg pyproject.toml README.md LICENSE ./
COPY tfeval tfeval
# Both at once: TensorFlow and Beam have to agree about protobuf, and Beam has to stay
# what the launcher of the image is of. With `gcp` for gs:// and Dataflow; for GPUs also
# 'tensorflow[and-cuda]'.
RUN pip install --no-cache-dir "apache-beam[gcp]==${BEAM}" '.[beam,lite,s3]' \
    && pip check

# Weights of models, so that not every worker fetches them:
# COPY keras_home /keras
# ENV KERAS_HOME=/keras

# The image's own ENTRYPOINT, /opt/apache/beam/boot, starts the worker.
